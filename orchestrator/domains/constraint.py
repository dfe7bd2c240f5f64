"""What must hold of several hyperparameters together, as an expression over their names."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domains.expression import Mistyped, Undefined, is_true, names_in, parse_expression
from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.values import InvalidDomain

MOST_TRIED = 256


@dataclass(frozen=True)
class Constraint:
    """An expression that is true of the hyperparameters that may be tried."""

    text: str
    tree: ast.expr = field(init=False, repr=False, compare=False)
    names: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidDomain("expected an expression over hyperparameters", self.text)
        object.__setattr__(self, "tree", parse_expression(self.text))
        object.__setattr__(self, "names", names_in(self.tree))

    def holds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether it holds.

        It does not bind where a hyperparameter that it names is absent, and does not hold where it has no value, as
        with a division by zero.
        """
        if not self.binds(hyperparameters):
            return True
        try:
            return is_true(self.tree, hyperparameters)
        except (Undefined, Mistyped):
            return False

    def binds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether all that it names is there."""
        return all(name in hyperparameters for name in self.names)

    def __str__(self) -> str:
        return self.text


def constraint_faults(
    constraints: Iterable[Constraint], known: Mapping[str, Any]
) -> Iterator[InvalidDomain]:
    """Yield why for each constraint on what no hyperparameter is called, or that mixes up kinds of values.

    ``known`` holds some values of each hyperparameter.
    """
    for constraint in constraints:
        unknown = [name for name in constraint.names if name not in known]
        if unknown:
            yield _unknown(unknown[0], constraint, known)
        else:
            yield from _mistyped(constraint, known)


def typical_values(domain: Any) -> tuple[Any, ...]:
    """Return values of a domain in which every kind of value that it has occurs."""
    match domain:
        case Fixed():
            return (domain.value,)
        case Choice():
            return domain.values
    return (domain.from_unit(0.5),)


def _mistyped(constraint: Constraint, known: Mapping[str, Any]) -> Iterator[InvalidDomain]:
    # Kinds differ among the values of a choice alone, of which every one is tried unless there are very many.
    mixes = itertools.product(*(known[name] for name in constraint.names))
    for mix in itertools.islice(mixes, MOST_TRIED):
        values = dict(zip(constraint.names, mix, strict=True))
        try:
            is_true(constraint.tree, values)
        except Undefined:
            continue
        except Mistyped as error:
            yield InvalidDomain(f"{error}, in {constraint.text!r}", values)
            return


def _unknown(name: str, constraint: Constraint, known: Mapping[str, Any]) -> InvalidDomain:
    a_text = any(name in values for values in known.values())
    hint = f" (a text stands in quotes: '{name}')" if a_text else ""
    expected = f"expected hyperparameters of the search space in {constraint.text!r}{hint}"
    return InvalidDomain(expected, name, known)
