"""All hyperparameters of one experiment, and draws from them."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Literal

from orchestrator.domains.constraint import Constraint, constraint_faults, typical_values
from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.numeric import OneMinusLogUniform, one_minus
from orchestrator.domains.parse import (
    Domain,
    Where,
    parse_domain,
    refused_at,
    write_domain,
)
from orchestrator.domains.values import Condition, InvalidDomain, shown
from orchestrator.errors import ExperimentFileError, explain

MOST_ATTEMPTS = 100_000
"""Far more than a draw needs from a space of which ``check_satisfiable`` has found enough to draw from."""
MOST_ATTEMPTS_BESIDE = 1000


@dataclass(frozen=True)
class Space:
    """Hyperparameters and their domains, in the order in which they were declared, and what must hold of them."""

    domains: Mapping[str, Domain]
    constraints: tuple[Constraint, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "domains", dict(self.domains))
        object.__setattr__(self, "constraints", tuple(self.constraints))
        for fault in constraint_faults(self.constraints, _typical(self.domains)):
            raise fault
        for name, refusal in _condition_faults(self.domains):
            raise InvalidDomain(f"{name}: {refusal.expected}", refusal.received, refusal.known)

    @classmethod
    def parse(
        cls,
        document: Any,
        where: Where = "search_space",
        constraints: Sequence[str] = (),
    ) -> Space:
        """Return the space that a mapping of hyperparameter to domain writes down, with ``constraints`` on it.

        ``where`` begins every message: a text, or a function from (hyperparameter,) to the place.
        Raises ``ExperimentFileError`` with one line for each fault.
        """
        if not isinstance(document, Mapping):
            place = where if isinstance(where, str) else where(())
            expected = "expected a mapping of hyperparameter to domain"
            raise ExperimentFileError(explain(place, expected, shown(document)))
        domains: dict[str, Domain] = {}
        errors: list[str] = []
        for name, value in document.items():
            try:
                domains[name] = parse_domain(name, value, where)
            except ExperimentFileError as error:
                errors.append(str(error))
        if not errors:
            errors = [
                str(refused_at(where, name, fault))
                for name, fault in [*_condition_faults(domains), *_companions_declared(domains)]
            ]
        if errors:
            raise ExperimentFileError("\n".join(errors))
        return cls(domains).constrained(constraints)

    def constrained(self, texts: Sequence[str], where: str = "constraints") -> Space:
        """Return it with these constraints in place of its own; ExperimentFileError, a line for each fault."""
        faults: list[InvalidDomain] = []
        read: list[Constraint] = []
        for text in texts:
            try:
                read.append(Constraint(text))
            except InvalidDomain as refusal:
                faults.append(refusal)
        faults += constraint_faults(read, _typical(self.domains))
        if faults:
            said = (explain(where, each.expected, each.received, each.known) for each in faults)
            raise ExperimentFileError("\n".join(said))
        return replace(self, constraints=tuple(read))

    @property
    def names(self) -> tuple[str, ...]:
        """The declared hyperparameters, in order."""
        return tuple(self.domains)

    @property
    def constraint_texts(self) -> list[str]:
        """Its constraints as they are written."""
        return [each.text for each in self.constraints]

    def __repr__(self) -> str:
        """Return a line for each hyperparameter, as a file has it, and the constraints."""
        lines = [f"{name}: {domain}" for name, domain in self.to_document().items()]
        return "\n  ".join(["Space", *lines, *(each.text for each in self.constraints)])

    def to_document(self) -> dict[str, Any]:
        """Return plain values that ``Space.parse`` reads back equal."""
        return {name: write_domain(domain) for name, domain in self.domains.items()}

    def draw(self, seed: int, index: int, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the hyperparameters of draw ``index``: a function of space, seed and index alone.

        Each hyperparameter has its own stream, so adding one changes none of the others' draws.
        One on the 1-β scale brings ``one_minus_<name>`` along, computed without the detour over β.
        ``given`` values stand in place of drawn ones; what exists only beside certain values goes by them.
        Where that breaks a constraint it is drawn again, by further streams. Raises ExperimentFileError where no
        draw fulfils all of them.
        """
        drawn = self.draw_beside(seed, index, given or {})
        if drawn is None:
            beside = f" beside {dict(given)}" if given else ""
            expected = f"expected values{beside} that fulfil them"
            raise ExperimentFileError(explain("constraints", expected, "none"))
        return drawn

    def draw_beside(self, seed: int, index: int, given: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return draw ``index`` with ``given`` values; None where no draw beside them fulfils the constraints."""
        for attempt in range(MOST_ATTEMPTS_BESIDE if given else MOST_ATTEMPTS):
            hyperparameters = self.attempt(seed, index, given, attempt)
            broken = self.broken(hyperparameters)
            if broken is None:
                return hyperparameters
            # Further attempts would change nothing of it.
            if self._is_settled(broken, given):
                break
        return None

    def broken(self, hyperparameters: Mapping[str, Any]) -> Constraint | None:
        """Return the first constraint that does not hold for a trial's hyperparameters; None where all hold."""
        return next((each for each in self.constraints if not each.holds(hyperparameters)), None)

    def broken_by(self, given: Mapping[str, Any]) -> Constraint | None:
        """Return the first constraint that some values break, whatever stands beside them."""
        settled = [each for each in self.constraints if self._is_settled(each, given)]
        there = self.with_companions(self._with_fixed(given))
        return next((each for each in settled if not each.holds(there)), None)

    def _is_settled(self, constraint: Constraint, given: Mapping[str, Any]) -> bool:
        """Return whether ``given`` says all that a constraint depends on, and that it all exists."""
        names = {self._declared(name) for name in constraint.names}
        known = self._with_fixed(given)
        return all(name in known and self._exists(name, known) for name in names)

    def _with_fixed(self, given: Mapping[str, Any]) -> dict[str, Any]:
        fixed = {name: d.value for name, d in self.domains.items() if isinstance(d, Fixed)}
        return {**fixed, **given}

    def _declared(self, name: str) -> str:
        """Return the hyperparameter that brings ``name``: itself, or the β of a 1-β."""
        return name if name in self.domains else name.removeprefix(companion(""))

    def with_companions(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return values of hyperparameters with the 1-β of each β."""
        betas = (n for n in given if isinstance(self.domains.get(n), OneMinusLogUniform))
        return {**given, **{companion(name): one_minus(given[name]) for name in betas}}

    def existing(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return those of some hyperparameters that exist beside the others' values, in the order of the space."""
        return {
            name: values[name]
            for name in self.domains
            if name in values and self._exists(name, values)
        }

    def attempt(
        self, seed: int, index: int, given: Mapping[str, Any] | None = None, attempt: int = 0
    ) -> dict[str, Any]:
        """Return the hyperparameters of draw ``index`` at an attempt, the first being 0, whatever constraints say."""
        import numpy as np  # here: a space is read by commands that draw nothing

        given = given or {}
        # A seed's trailing zeros count for nothing: the first attempt is what it was before there were others.
        shares = {
            name: float(
                np.random.default_rng([seed, index, zlib.crc32(name.encode()), attempt]).random()
            )
            for name in self.domains
        }
        drawn = {name: domain.from_unit(shares[name]) for name, domain in self.domains.items()}
        hyperparameters: dict[str, Any] = {}
        for name, value in self.existing({**drawn, **given}).items():
            hyperparameters[name], domain = value, self.domains[name]
            if isinstance(domain, OneMinusLogUniform):
                hyperparameters[companion(name)] = (
                    one_minus(given[name])
                    if name in given
                    else domain.complement_from_unit(shares[name])
                )
        return hyperparameters

    def edges(self, hyperparameters: Mapping[str, Any]) -> dict[str, Literal["low", "high"]]:
        """Return the hyperparameters that sit at an end of their domain, and at which end."""
        found = {
            name: domain.edge(hyperparameters[name])
            for name, domain in self.domains.items()
            if name in hyperparameters
        }
        return {name: end for name, end in found.items() if end is not None}

    def _exists(self, name: str, drawn: Mapping[str, Any]) -> bool:
        return all(
            condition.holds(drawn) and self._exists(condition.name, drawn)
            for condition in self.domains[name].when
        )


def _typical(domains: Mapping[str, Domain]) -> dict[str, tuple[Any, ...]]:
    """Return values of each hyperparameter, and of each 1-β that one brings along."""
    values = {name: typical_values(domain) for name, domain in domains.items()}
    betas = [name for name, domain in domains.items() if isinstance(domain, OneMinusLogUniform)]
    return values | {companion(name): tuple(map(one_minus, values[name])) for name in betas}


def companion(name: str) -> str:
    """Return the name of the 1-β that goes with a β: ``one_minus_momentum`` for ``momentum``."""
    return f"one_minus_{name}"


def without_companions(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return hyperparameters without each 1-β that goes along with its β: nothing reads it, it is β once more."""
    return {
        name: value
        for name, value in hyperparameters.items()
        if not _goes_along(name, value, hyperparameters)
    }


def _goes_along(name: str, value: Any, hyperparameters: Mapping[str, Any]) -> bool:
    beta = hyperparameters.get(name.removeprefix(companion("")))
    if not isinstance(beta, Real) or not isinstance(value, Real) or isinstance(beta, bool):
        return False
    if not name.startswith(companion("")):
        return False
    return math.isclose(one_minus(float(beta)), float(value), rel_tol=1e-6, abs_tol=1e-12)


def _companions_declared(domains: Mapping[str, Domain]) -> list[tuple[str, InvalidDomain]]:
    return [
        (
            companion(name),
            InvalidDomain(
                f"expected no such hyperparameter, since {name} brings it", companion(name)
            ),
        )
        for name, domain in domains.items()
        if isinstance(domain, OneMinusLogUniform) and companion(name) in domains
    ]


INSIDE = 0.381966
"""A share of the probability at which no range of round ends has a round value."""


@dataclass(frozen=True)
class Extreme:
    """A value that a draw can give, and what it is in its domain; no words for the only value there is."""

    value: Any
    place: str = ""


def extremes(domain: Domain) -> Iterator[Extreme]:
    """Yield every value of a finite domain; of a range its ends, and one value between them."""
    match domain:
        case Fixed():
            yield Extreme(domain.value)
        case Choice():
            yield from (Extreme(value, f"one of {domain}") for value in domain.values)
        case _:
            low, high = domain.ends
            yield Extreme(low, f"the lower end of {domain}")
            if low < high:
                yield Extreme(high, f"the upper end of {domain}")
                # The second of a grid is whole where all others are.
                step = getattr(domain, "step", None)
                inside = domain.from_unit(INSIDE) if step is None else low + step
                yield Extreme(inside, f"a value of {domain}")


def _condition_faults(domains: Mapping[str, Domain]) -> Iterator[tuple[str, InvalidDomain]]:
    """Yield (hyperparameter, why) for each condition that can never hold or never be decided."""
    for name, domain in domains.items():
        for condition in domain.when:
            fault = _condition_fault(name, condition, domains)
            if fault is not None:
                yield name, fault
    yield from _circular_conditions(domains)


def _condition_fault(
    name: str, condition: Condition, domains: Mapping[str, Domain]
) -> InvalidDomain | None:
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


def _circular_conditions(domains: Mapping[str, Domain]) -> Iterator[tuple[str, InvalidDomain]]:
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
