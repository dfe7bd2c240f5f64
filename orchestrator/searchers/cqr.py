"""Conformal quantile regression: quantiles of the metric by gradient boosting, and a draw from them.

Salinas et al., ICML 2023, over scikit-learn. It assumes no form of the noise: where trials differ much, the quantiles
lie apart. Each candidate gets the value of a quantile drawn for it, and the best is proposed, as in Thompson's
sampling. A part of the trials is kept aside to correct the quantiles by how often they were missed. The model is
fitted again when a seventh more is known; candidates beside a trial in flight, and those that were tried, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.domains import Space
from orchestrator.searchers.coordinates import Coordinates, Matrix, scores
from orchestrator.searchers.learning import LearningOptions, LearningSearcher, stretch
from orchestrator.searchers.told import Evidence

BEST, NEWEST = 128, 128
CANDIDATES = 256, 256
GOOD = 10
LEVELS = (0.2, 0.4, 0.6, 0.8)
TREES = 30
KEPT_ASIDE = 5
"""Every so manieth trial corrects the quantiles, where there are ``FEWEST`` at least."""
FEWEST = 32
BESIDE = 0.05
"""Nearer to a trial in flight than this, on every scale, a candidate is left out."""


class CqrOptions(LearningOptions):
    """Quantiles of the metric, whatever the noise is like."""

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> CqrSearcher:
        """Return the searcher."""
        return CqrSearcher(self, space, seed, mode)


class CqrSearcher(LearningSearcher):
    """Proposes the candidate of the best value drawn from its own quantiles."""

    def __init__(self, options: LearningOptions, space: Space, seed: int, mode: str) -> None:
        super().__init__(options, space, seed, mode)
        self._at = Coordinates(self._free, space)
        self._quantiles: _Quantiles | None = None
        self._fitted_on: Evidence | None = None

    def _proposed(self, index: int, attempt: int) -> Mapping[str, Any]:
        random = self._random("cqr", index, attempt)
        quantiles = self._fitted()
        good = self._at.shares(self._told.best(GOOD))
        candidates = self._at.candidates(random, good, CANDIDATES)
        columns = self._at.columns(candidates)
        is_free = ~self._is_beside_one_in_flight(columns)
        drawn = _drawn(quantiles.predict(columns), random)
        best_first = np.argsort(-drawn, kind="stable")
        proposals = (self._at.values(candidates[at]) for at in best_first if is_free[at])
        return next(filter(self._is_new, proposals), {})

    def _is_beside_one_in_flight(self, columns: Matrix) -> Any:
        pending = self._told.evidence(0, 0).pending
        others = self._at.columns(self._at.shares(pending))
        apart = np.abs(columns[:, None] - others[None]).max(axis=2, initial=0)
        return (apart < BESIDE).any(axis=1)

    def _fitted(self) -> _Quantiles:
        """Return the model, fitted on the first trials: again where there are many more, or they have changed."""
        first = stretch(self._told.known)
        evidence = self._told.evidence(BEST, NEWEST, first).comparable
        if self._quantiles is None or evidence != self._fitted_on:
            columns = self._at.columns(self._at.shares(evidence.trials))
            self._quantiles = _Quantiles(columns, scores(evidence.values), self._seed)
            self._fitted_on = evidence
        return self._quantiles


class _Quantiles:
    """A gradient boosting for each level, and by how much the outer ones are moved outwards."""

    def __init__(self, columns: Matrix, scores: Matrix, seed: int) -> None:
        from sklearn.ensemble import GradientBoostingRegressor

        aside = (
            np.random.default_rng([seed, len(scores)]).permutation(len(scores)) % KEPT_ASIDE == 0
        )
        aside &= len(scores) >= FEWEST
        self._models = [
            GradientBoostingRegressor(
                loss="quantile",
                alpha=level,
                n_estimators=TREES,
                learning_rate=0.15,
                min_samples_leaf=2,
                random_state=0,
            ).fit(columns[~aside], scores[~aside])
            for level in LEVELS
        ]
        self._moves = np.zeros(len(LEVELS))
        if aside.any():
            self._moves = _moves(self.predict(columns[aside]), scores[aside])

    def predict(self, columns: Matrix) -> Matrix:
        """Return one column for each level, ascending in each row."""
        found = np.stack([each.predict(columns) for each in self._models], axis=1)
        ascending: Matrix = np.sort(np.sort(found, axis=1) + self._moves, axis=1)
        return ascending


def _moves(quantiles: Matrix, scores: Matrix) -> Matrix:
    """Return by how much each level is moved so that each pair of them holds its share of these scores."""
    moves = np.zeros(len(LEVELS))
    for low in range(len(LEVELS) // 2):
        high = len(LEVELS) - 1 - low
        missed = np.maximum(quantiles[:, low] - scores, scores - quantiles[:, high])
        share = min(1.0, (LEVELS[high] - LEVELS[low]) * (1 + 1 / len(scores)))
        by = float(np.quantile(missed, share))
        moves[low], moves[high] = -by, by
    return moves


def _drawn(quantiles: Matrix, random: np.random.Generator) -> Matrix:
    """Return one of each row's quantiles."""
    chosen = random.integers(len(LEVELS), size=len(quantiles))
    drawn: Matrix = quantiles[np.arange(len(quantiles)), chosen]
    return drawn
