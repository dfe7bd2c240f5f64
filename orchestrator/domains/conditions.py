"""When a hyperparameter exists at all: only if others have certain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.domains.invalid import InvalidDomain
from orchestrator.domains.scalars import Scalar

if TYPE_CHECKING:
    from orchestrator.domains.parse import Domain


@dataclass(frozen=True)
class Condition:
    """The hyperparameter ``name`` has one of ``values``."""

    name: str
    values: tuple[Scalar, ...]

    def holds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether it holds for these; an absent hyperparameter fulfils nothing."""
        if self.name not in hyperparameters:
            return False
        return any(same(hyperparameters[self.name], value) for value in self.values)


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal, ``True`` and ``1`` being different."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def parse_when(written: Any) -> tuple[Condition, ...]:
    """Return the conditions of ``{optimizer: [adam, adamw], …}``, all of which must hold."""
    if not isinstance(written, Mapping) or not written:
        raise InvalidDomain("expected when: {another hyperparameter: its value or values}", written)
    return tuple(_condition(name, values) for name, values in written.items())


def _condition(name: Any, values: Any) -> Condition:
    listed = tuple(values) if isinstance(values, list | tuple) else (values,)
    if not isinstance(name, str):
        raise InvalidDomain("expected the name of a hyperparameter under when", name)
    if not listed:
        raise InvalidDomain(f"expected at least one value of {name} under when", values)
    for value in listed:
        if not (value is None or isinstance(value, str | int | float | bool)):
            raise InvalidDomain(f"expected plain values of {name} under when", value)
    return Condition(name, listed)


def write_when(conditions: tuple[Condition, ...]) -> dict[str, Any]:
    """Return the mapping that ``parse_when`` reads back equal."""
    return {
        condition.name: condition.values[0]
        if len(condition.values) == 1
        else list(condition.values)
        for condition in conditions
    }


def faults(domains: Mapping[str, Domain]) -> Iterator[tuple[str, InvalidDomain]]:
    """Yield (hyperparameter, why) for each condition that can never hold or never be decided."""
    for name, domain in domains.items():
        for condition in domain.when:
            fault = _fault(name, condition, domains)
            if fault is not None:
                yield name, fault
    yield from _cycles(domains)


def _fault(name: str, condition: Condition, domains: Mapping[str, Domain]) -> InvalidDomain | None:
    others = [other for other in domains if other != name]
    if condition.name not in others:
        return InvalidDomain(
            "expected when to name another hyperparameter of this space", condition.name, others
        )
    parent = domains[condition.name]
    if not parent.countable:
        return InvalidDomain(
            "expected when to name a choice, an integer or a fixed value,"
            f" since {condition.name} is {parent} and hits no given value",
            condition.name,
        )
    for value in condition.values:
        if not parent.contains(value):
            return InvalidDomain(
                f"expected when to give a value that {condition.name} can take, of {parent}", value
            )
    return None


def _cycles(domains: Mapping[str, Domain]) -> Iterator[tuple[str, InvalidDomain]]:
    settled: set[str] = set()
    waiting = dict(domains)
    while True:
        free = [
            name
            for name, domain in waiting.items()
            if all(
                c.name in settled or c.name not in domains or c.name == name for c in domain.when
            )
        ]
        if not free:
            break
        settled.update(free)
        for name in free:
            del waiting[name]
    if waiting:
        first = next(iter(waiting))
        circle = sorted(waiting)
        yield first, InvalidDomain("expected conditions that do not depend on one another", circle)
