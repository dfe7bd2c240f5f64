"""Gaussian process: scikit-learn's, Matérn 5/2 with a length for each hyperparameter, and expected improvement.

It takes values on a scale of quartiles, cut off below: how bad a bad trial is says nothing, and one that diverged has
no value. (Ranks in their place would set the many good trials near the best one as far apart as all others.) Trials in
flight count as ordinary ones, so that the next proposal goes elsewhere. The lengths are fitted again when a seventh
more is known, on the trials that were drawn first; what they say is conditioned on the best and the newest trials each
time.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.domains import Space
from orchestrator.searchers.coordinates import Coordinates, Matrix, scores
from orchestrator.searchers.learning import LearningOptions, LearningSearcher, stretch
from orchestrator.searchers.told import Evidence

BEST, NEWEST = 60, 60
FITTED = 50, 50
CANDIDATES = 256, 128
FINER = 64, 0.03
"""Candidates beside the best one, and the width of a step there."""
GOOD = 5
LIE = 0.0


class GpOptions(LearningOptions):
    """A smooth model of the metric, for few trials that cost much."""

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> GpSearcher:
        """Return the searcher."""
        return GpSearcher(self, space, seed, mode)


class GpSearcher(LearningSearcher):
    """Proposes the candidate whose expected improvement over the best trial is greatest."""

    def __init__(self, options: LearningOptions, space: Space, seed: int, mode: str) -> None:
        super().__init__(options, space, seed, mode)
        self._at = Coordinates(self._free, space)
        self._threads = _threads()
        self._fitted: Any = None
        self._fitted_on: Evidence | None = None

    def _proposed(self, index: int, attempt: int) -> Mapping[str, Any]:
        random = self._random("gp", index, attempt)
        evidence = self._told.evidence(BEST, NEWEST)
        with warnings.catch_warnings(), self._threads.limit(limits=1):
            warnings.simplefilter("ignore")  # a length at its bound is no fault
            model = self._conditioned(self._kernel(), evidence)
            best = float(model.predict(self._seen(evidence)).max())
            good = self._at.shares(self._told.best(GOOD))
            candidates = self._at.candidates(random, good, CANDIDATES)
            first = self._best_of(candidates, model, best)
            if first is None:
                return {}
            count, width = FINER
            finer = self._at.beside(random, np.repeat(first[None], count, axis=0), width)
            finer = self._at.possible(finer)
            chosen = self._best_of(np.concatenate([first[None], finer]), model, best)
        return {} if chosen is None else self._at.values(chosen)

    def _seen(self, evidence: Evidence) -> Matrix:
        return self._at.columns(self._at.shares(evidence.trials))

    def _kernel(self) -> Any:
        """Return the kernel, fitted on the first trials: again where there are many more, or they have changed."""
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

        evidence = self._told.evidence(*FITTED, first=stretch(self._told.known)).comparable
        if evidence == self._fitted_on:
            return self._fitted
        seen = self._seen(evidence)
        # No length is so great that a value of a choice which lost once is never tried again.
        lengths = Matern(np.full(seen.shape[1], 0.5), (0.05, 3.0), nu=2.5)
        kernel = ConstantKernel(1.0, (0.1, 10.0)) * lengths + WhiteKernel(0.1, (1e-3, 1.0))
        model = GaussianProcessRegressor(kernel, random_state=0)
        self._fitted = model.fit(seen, scores(evidence.values)).kernel_
        self._fitted_on = evidence
        return self._fitted

    def _conditioned(self, kernel: Any, evidence: Evidence) -> Any:
        """Return a model of this kernel that knows the trials, and takes those in flight for ordinary ones."""
        from sklearn.gaussian_process import GaussianProcessRegressor

        model = GaussianProcessRegressor(kernel, optimizer=None)
        at = self._at.shares([*evidence.trials, *evidence.pending])
        lies = np.full(len(evidence.pending), LIE)
        return model.fit(self._at.columns(at), np.concatenate([scores(evidence.values), lies]))

    def _best_of(self, candidates: Matrix, model: Any, best: float) -> Matrix | None:
        """Return the best of the candidates that no trial had; None where each was tried."""
        mean, deviation = model.predict(self._at.columns(candidates), return_std=True)
        deviation = np.maximum(deviation, 1e-9)
        improvement = log_expected_improvement((mean - best) / deviation) + np.log(deviation)
        best_first = candidates[np.argsort(-improvement, kind="stable")]
        return next((each for each in best_first if self._is_new(self._at.values(each))), None)


def _threads() -> Any:
    """Return what has linear algebra use one thread: the trials need the others, and the last digits depend on it."""
    import sklearn.gaussian_process  # noqa: F401  whose libraries are to be found
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def log_expected_improvement(z: Matrix) -> Matrix:
    """Return log(φ(z) + z Φ(z)), to which far below 0 the asymptote log φ(z) - 2 log|z| is exact enough."""
    from scipy.special import ndtr

    log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    near = np.maximum(z, -8.0)
    exact = np.exp(-0.5 * near**2) / np.sqrt(2 * np.pi) + near * ndtr(near)
    far = log_density - 2 * np.log(np.maximum(-z, 1.0))
    result: Matrix = np.where(z > -8.0, np.log(np.maximum(exact, 1e-300)), far)
    return result
