"""Random search: trial i of a seed is a pure function of (space, seed, i), whoever runs it.

In a finite space no trial comes twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.domains import Combinations, Shuffle, Space
from orchestrator.searchers.searcher import Observation, Searcher, SearcherOptions
from orchestrator.searchers.without_repeats import WithoutRepeats

TRIES = 32
"""How often a trial is drawn again that others were already, before the rest is gone through."""


class RandomSearcher:
    """Leaves every hyperparameter to be drawn, whatever became of the trials before."""

    def ask(self, index: int) -> Mapping[str, Any]:
        """Propose nothing: all of the trial is drawn."""
        return {}

    def tell(self, observation: Observation) -> None:
        """Learn nothing."""


class RandomOptions(SearcherOptions):
    """Each trial is drawn from the space; where that is finite, each combination comes once."""

    learns: ClassVar[bool] = False

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> Searcher:
        """Return the searcher."""
        return draws_of(space, seed)

    def at_most(self, space: Space, points: int) -> int | None:
        """Return how many combinations there are."""
        return combinations_of(space)


def draws_of(space: Space, seed: int) -> RandomSearcher | WithoutRepeats:
    """Return what draws each trial of a space by itself; where that is finite, no combination twice."""
    found = Combinations.of(space)
    if found is None:
        return RandomSearcher()
    return WithoutRepeats(space, found, Shuffle(found.count, seed).at, seed, TRIES)


def combinations_of(space: Space) -> int | None:
    """Return how many combinations a space has, None where it is not finite."""
    found = Combinations.of(space)
    return None if found is None else found.count
