"""Whether a space's constraints leave something to draw, and how much: gone through where it is finite and small."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domains.combinations import values_of
from orchestrator.domains.space import Space
from orchestrator.errors import ExperimentFileError, explain

MOST_COMBINATIONS = 10_000
DRAWN = 1000
DRAWN_AT_MOST = 10_000
FEWEST = 10


@dataclass(frozen=True)
class Acceptance:
    """How many of some plain draws fulfil a space's constraints."""

    fulfilling: int
    drawn: int

    @property
    def share(self) -> float:
        """Their share."""
        return self.fulfilling / self.drawn


def acceptance(space: Space, seed: int) -> Acceptance:
    """Return how many of a seed's draws fulfil the constraints at once: of 1000, of more where those are few."""
    fulfilling = drawn = 0
    while drawn < DRAWN or (fulfilling < FEWEST and drawn < DRAWN_AT_MOST):
        fulfilling += space.broken(space.attempt(seed, drawn)) is None
        drawn += 1
    return Acceptance(fulfilling, drawn)


def check_satisfiable(space: Space, seed: int) -> None:
    """Raise ExperimentFileError where nothing that fulfils the constraints can be drawn, or hardly anything."""
    if not space.constraints:
        return
    values = _values_that_matter(space)
    count = math.prod(map(len, values.values())) if values else 0
    if (
        values
        and count <= MOST_COMBINATIONS
        and all(map(space.broken, _combinations(space, values)))
    ):
        expected = "expected at least one combination of values to fulfil them"
        received = f"none of {count:,}{_never_fulfilled(space, _combinations(space, values))}"
        raise ExperimentFileError(explain("constraints", expected, received))
    # One that can be fulfilled may still be met too seldom to draw until it is.
    found = acceptance(space, seed)
    if found.fulfilling < FEWEST:
        expected = (
            "expected at least one draw in 1,000 to fulfil them: move the bounds of the domains"
        )
        received = f"{found.fulfilling} of {found.drawn:,} draws"
        if not found.fulfilling:
            received += _never_fulfilled(space, (space.attempt(seed, k) for k in range(DRAWN)))
        raise ExperimentFileError(explain("constraints", expected, received))


def _values_that_matter(space: Space) -> dict[str, Sequence[Any]] | None:
    """Return the values of each hyperparameter on which constraints depend; None where one has too many."""
    names = [name for each in space.constraints for name in each.names]
    values: dict[str, Sequence[Any]] = {}
    while names:
        name = names.pop()
        listed = values_of(space.domains[name]) if name in space.domains else None
        if listed is None:
            return None
        if name not in values:
            values[name] = listed
            # Whether it exists depends on others, and so does whether the constraint binds.
            names += [condition.name for condition in space.domains[name].when]
    return values


def _combinations(space: Space, values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for mix in itertools.product(*values.values()):
        yield space.existing(dict(zip(values, mix, strict=True)))


def _never_fulfilled(space: Space, tried: Iterable[Mapping[str, Any]]) -> str:
    """Return which constraints none of what was tried fulfils; nothing where each is fulfilled by some."""
    all_tried = list(tried)
    never = [each.text for each in space.constraints if not any(map(each.holds, all_tried))]
    return f"; none fulfils {' nor '.join(never)}" if never else ""
