"""PriorBand: draws from what is believed, from the whole space, and around the best trial so far.

Mallik et al., NeurIPS 2023. A share of 1/(1+η^r) is drawn from the whole space: a half while no trial is known to be
good (r = 0), then a quarter for η = 3 (r = 1). What is left belongs to the prior at first. From then on the prior and
the neighbourhood of the best trial share it by how likely each of them makes the best trials: a wrong prior, under
which good trials are unlikely, loses its share by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

import numpy as np
from pydantic import Field

from orchestrator.domains import Choice, Domain, Space
from orchestrator.domains.space import without_companions
from orchestrator.domains.truncated_normal import TruncatedNormal
from orchestrator.fields import Whole
from orchestrator.searchers.learning import ATTEMPTS, ENOUGH, SeededSearcher
from orchestrator.searchers.random import combinations_of
from orchestrator.searchers.searcher import Fault, Observation, SearcherOptions, complete
from orchestrator.searchers.told import Standing, Told
from orchestrator.searchers.without_repeats import WithoutRepeats

WIDTH = 0.25
"""The standard deviation around the best trial, as a share of the scale."""
WEIGHT = 4
"""How many times as likely the best trial's value of a choice is as each of the others."""
MUTATED = 0.5
MOST_COUNTED = 64


class PriorBandOptions(SearcherOptions):
    """A mixture of the priors in the search space, all of it, and the neighbourhood of the best trial."""

    reduction_factor: Whole = Field(
        default=3,
        ge=2,
        description="η: the best 1/η of the trials decide between the prior and the best trial, and 1/(1+η) of the"
        " trials are drawn from the whole space, however many have been tried.",
    )

    def at_most(self, space: Space, points: int) -> int | None:
        """Return how many combinations there are: none is tried twice."""
        return combinations_of(space)

    def option_fault(self, space: Space, trials: int) -> Fault | None:
        """Return what is missing where no hyperparameter has a prior."""
        if any(domain.prior is not None for domain in space.domains.values()):
            return None
        expected = (
            "expected a prior of at least one hyperparameter, such as learning_rate:"
            " {distribution: loguniform, min: 1e-4, max: 1, prior: 0.1, confidence: high}, or another searcher"
        )
        return "", expected, "no prior"

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> PriorBandSearcher:
        """Return the searcher."""
        return PriorBandSearcher(self.reduction_factor, space, seed, mode)


class PriorBandSearcher(SeededSearcher):
    """Draws each trial from one of three: the whole space, the prior, the neighbourhood of the best trial."""

    def __init__(self, reduction_factor: int, space: Space, seed: int, mode: str) -> None:
        super().__init__(space, seed)
        self._eta = reduction_factor
        self._believed = {name: each for name, each in self._free.items() if each.prior is not None}
        self._told = Told(mode, max(ENOUGH, len(self._free) + 1))

    def tell(self, observation: Observation) -> None:
        """Take in what has become of a trial."""
        self._told.tell(observation)
        self._note(observation)

    def ask(self, index: int) -> Mapping[str, Any] | None:
        """Return values for trial ``index``: of the prior's for what has one, of all near the best trial, or none."""
        if not self._free:
            return self._draws.ask(index)
        proposals = (self._proposed(index, attempt) for attempt in range(ATTEMPTS))
        fitting = (each for each in proposals if self._space.broken_by(each) is None)
        if not isinstance(self._draws, WithoutRepeats):
            return next(fitting, {})
        whole = (
            complete(each, self._space, self._seed, index) for each in takewhile(bool, fitting)
        )
        new = next((each for each in whole if self._is_new(each)), None)
        return without_companions(new) if new else self._draws.ask(index)

    def _proposed(self, index: int, attempt: int) -> Mapping[str, Any]:
        random = self._random("priorband", index, attempt)
        if index == 0:
            return {name: each.prior.value for name, each in self._believed.items() if each.prior}
        whole, prior = self.shares()
        of = random.random()
        if of < whole:
            return {}
        if of < whole + prior:
            shares = random.random(len(self._believed))
            drawn = zip(self._believed.items(), shares, strict=True)
            return {name: domain.prior_from_unit(float(u)) for (name, domain), u in drawn}
        [best] = self._told.best(1)
        return self._near(best, random)

    def shares(self) -> tuple[float, float]:
        """Return which share of trials is drawn from the whole space, and which from the prior."""
        good = self._good()
        if not good:
            return 0.5, 0.5
        whole = 1 / (1 + self._eta)
        prior, near = self._likelihoods(good)
        return whole, (1 - whole) * prior / (prior + near)

    def _good(self) -> Sequence[Standing]:
        """Return the best 1/η of the trials, best first; none until enough of them are known."""
        known = self._told.known
        if not self._told.level or known < ENOUGH:
            return ()
        return self._told.best(min(max(known // self._eta, self._eta), MOST_COUNTED))

    def _likelihoods(self, good: Sequence[Standing]) -> tuple[float, float]:
        """Return how likely the prior, and the neighbourhood of the best, make good trials: the better, the more so."""
        best = good[0].hyperparameters
        prior = near = 0.0
        for place, standing in enumerate(good):
            weight = len(good) - place
            had = {name: v for name, v in standing.hyperparameters.items() if name in self._free}
            prior += weight * math.prod(self._free[name].prior_pdf(v) for name, v in had.items())
            near += weight * math.prod(
                _density(self._free[name], v, best[name]) for name, v in had.items() if name in best
            )
        return (prior, near) if prior + near else (0.0, 1.0)

    def _near(self, best: Standing, random: np.random.Generator) -> Mapping[str, Any]:
        """Return the best trial's values, half of them moved, and one at least."""
        had = {
            name: best.hyperparameters[name] for name in self._free if name in best.hyperparameters
        }
        moved = random.random(len(had)) < MUTATED
        moved[random.integers(len(had))] = True
        shares = random.random(len(had))
        return {
            name: _moved(self._free[name], value, float(share)) if changes else value
            for (name, value), changes, share in zip(had.items(), moved, shares, strict=True)
        }


def _density(domain: Domain, value: Any, best: Any) -> float:
    """Return how many times as likely ``value`` is near ``best`` as in a plain draw."""
    if isinstance(domain, Choice):
        count = len(domain.values)
        return (WEIGHT if value == best else 1) * count / (WEIGHT + count - 1)
    return TruncatedNormal(domain.to_unit(best), WIDTH, 0.0, 1.0).density(domain.to_unit(value))


def _moved(domain: Domain, best: Any, share: float) -> Any:
    """Return the value at this share of the probability near ``best``."""
    if not isinstance(domain, Choice):
        near = TruncatedNormal(domain.to_unit(best), WIDTH, 0.0, 1.0)
        return domain.from_unit(near.quantile(share))
    count = len(domain.values)
    left = share * (WEIGHT + count - 1)
    for value in domain.values:
        left -= WEIGHT if value == best else 1
        if left < 0:
            return value
    return domain.values[-1]
