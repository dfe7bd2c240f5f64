"""A Sobol sequence, scrambled by the seed: points that cover a space more evenly than draws do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from orchestrator.domains import Space, values_of
from orchestrator.searchers.searcher import Fault, Observation, SearcherOptions

MOST_DIMENSIONS = 21_201
MOST_POINTS = 2**30


class SobolSearcher:
    """Proposes point i of the sequence for trial i, each hyperparameter on its domain's own scale."""

    def __init__(self, space: Space, seed: int) -> None:
        self._space, self._names, self._seed = space, varying(space), seed

    def ask(self, index: int) -> Mapping[str, Any]:
        """Return point ``index``, none where it breaks a constraint.

        What does not exist beside the others' values is dropped from it.
        """
        shares = self._point(index) if self._names else ()
        point = {
            name: self._space.domains[name].from_unit(float(share))
            for name, share in zip(self._names, shares, strict=True)
        }
        return point if self._space.broken_by(point) is None else {}

    def tell(self, observation: Observation) -> None:
        """Learn nothing."""

    @cached_property
    def _sequence(self) -> Any:
        from scipy.stats.qmc import Sobol  # a second, which nobody else need wait for

        return Sobol(len(self._names), seed=np.random.default_rng(self._seed))

    def _point(self, index: int) -> Iterable[float]:
        """Return a point, whichever was asked for last: going back begins the sequence anew."""
        if index < self._sequence.num_generated:
            self._sequence.reset()
        if index > self._sequence.num_generated:
            self._sequence.fast_forward(index - self._sequence.num_generated)
        point: Iterable[float] = self._sequence.random(1)[0]
        return point


class SobolOptions(SearcherOptions):
    """A low-discrepancy sequence over the space, scrambled by the seed."""

    learns: ClassVar[bool] = False

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> SobolSearcher:
        """Return the searcher."""
        return SobolSearcher(space, seed)

    def option_fault(self, space: Space, trials: int) -> Fault | None:
        """Refuse more hyperparameters, and more trials, than the sequence is known for."""
        if len(varying(space)) > MOST_DIMENSIONS:
            expected = f"expected at most {MOST_DIMENSIONS:,} hyperparameters that vary, use random"
            return "", expected, len(varying(space))
        if trials > MOST_POINTS:
            return (
                "",
                f"expected at most 2**30 trials of a sequence, use random for {trials:,}",
                trials,
            )
        return None


def varying(space: Space) -> tuple[str, ...]:
    """Return the hyperparameters of a space that have more than one value."""
    finite = {name: values_of(domain) for name, domain in space.domains.items()}
    return tuple(name for name, values in finite.items() if values is None or len(values) > 1)
