"""Random search: trial i of a seed is a pure function of (space, seed, i), whoever runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from orchestrator.domains import Space
from orchestrator.searchers.searcher import Observation, SearcherOptions


class RandomSearcher:
    """Leaves every hyperparameter to be drawn, whatever became of the trials before."""

    def ask(self, index: int) -> Mapping[str, Any]:
        """Propose nothing: all of the trial is drawn."""
        return {}

    def tell(self, observation: Observation) -> None:
        """Learn nothing."""


class RandomOptions(SearcherOptions):
    """Each trial is drawn from the space by itself."""

    learns: ClassVar[bool] = False

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> RandomSearcher:
        """Return the searcher."""
        return RandomSearcher()
