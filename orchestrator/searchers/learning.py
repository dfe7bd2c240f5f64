"""What searchers that learn have in common: random draws first, and now and then, and a proposal else."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from orchestrator.domains import Choice, Domain, Fixed, Integer, Space, Uniform
from orchestrator.fields import Count, Real
from orchestrator.searchers.random import combinations_of, draws_of
from orchestrator.searchers.searcher import Observation, SearcherOptions
from orchestrator.searchers.told import Told
from orchestrator.searchers.without_repeats import WithoutRepeats

ENOUGH = 8
"""So many trials at least have to reach an epoch at which trials are compared."""
GROWTH = 8 / 7
ATTEMPTS = 10
"""So many proposals are made for a trial whose first ones break a constraint, or were tried before."""
DRAWS = 32
FEW = 64
Share = Annotated[Real, Field(ge=0, le=1)]


class LearningOptions(SearcherOptions):
    """What every searcher that learns lets one choose."""

    startup: Count = Field(
        default=10,
        description="Trials are drawn at random until so many have reported.",
    )
    random_share: Share = Field(
        default=0.0,
        description="The share of later trials that are drawn at random all the same.",
    )

    def at_most(self, space: Space, points: int) -> int | None:
        """Return how many combinations there are: none is proposed or drawn twice."""
        return combinations_of(space)


class SeededSearcher:
    """Has a stream of random numbers for each trial, whatever was drawn before, and draws without repeats."""

    def __init__(self, space: Space, seed: int) -> None:
        self._seed = seed
        self._space = space
        self._free = varied(space)
        self._draws = draws_of(space, seed)
        self._tried: set[tuple[tuple[str, bool, Any], ...]] = set()
        self._next = 0

    @property
    def exhausted(self) -> str:
        """What there is to say once each combination of a finite space was tried; empty before."""
        if not isinstance(self._draws, WithoutRepeats):
            return ""
        self._draws.ask(self._next)
        return self._draws.exhausted

    def begin_at(self, index: int) -> None:
        """Have trial ``index`` be the first, as that of a later round is."""
        self._next = index
        if isinstance(self._draws, WithoutRepeats):
            self._draws.begin_at(index)

    def _note(self, observation: Observation) -> None:
        """Take in what a trial is: none is proposed or drawn again."""
        self._draws.tell(observation)
        self._tried.add(self._key(observation.hyperparameters))
        if observation.trial.isdecimal():
            self._next = max(self._next, int(observation.trial) + 1)

    def _is_new(self, values: Mapping[str, Any]) -> bool:
        """Return whether no trial had these values: one of them again would teach next to nothing."""
        return self._key(values) not in self._tried

    def _key(self, values: Mapping[str, Any]) -> tuple[tuple[str, bool, Any], ...]:
        return tuple(
            (name, isinstance(values[name], bool), values[name])
            for name in self._free
            if name in values
        )

    def _random(self, purpose: str, index: int, attempt: int = 0) -> np.random.Generator:
        return np.random.default_rng([self._seed, index, zlib.crc32(purpose.encode()), attempt])


class LearningSearcher(SeededSearcher):
    """Draws at random until enough is known; then each proposal is a function of the seed and of what was told."""

    def __init__(self, options: LearningOptions, space: Space, seed: int, mode: str) -> None:
        super().__init__(space, seed)
        self._options = options
        self._told = Told(mode, max(ENOUGH, len(self._free) + 1))

    def tell(self, observation: Observation) -> None:
        """Take in what has become of a trial."""
        self._told.tell(observation)
        self._note(observation)

    def ask(self, index: int) -> Mapping[str, Any] | None:
        """Return values for trial ``index``, none where it is to be drawn, and None where all were tried."""
        if self._told.known < self._options.startup or not self._free:
            return self._draws.ask(index)
        random = self._random("share", index)
        if random.random() < self._options.random_share:
            return self._draws.ask(index)
        proposals = (self._proposed(index, attempt) for attempt in range(ATTEMPTS))
        fitting = (each for each in proposals if self._space.broken_by(each) is None)
        return next((each for each in fitting if self._is_new(each)), None) or self._drawn(index)

    def _drawn(self, index: int) -> Mapping[str, Any] | None:
        """Return a draw that no trial had, none where the trial's own is that or there is no such."""
        if isinstance(self._draws, WithoutRepeats):
            return self._draws.ask(index)
        for attempt in range(DRAWS):
            drawn = self._space.draw(self._seed + (attempt << 32), index)
            if self._is_new(drawn):
                own = {name: drawn[name] for name in self._free if name in drawn}
                return own if attempt else {}
        return {}

    def _proposed(self, index: int, attempt: int) -> Mapping[str, Any]:
        """Return what the model proposes for trial ``index``; at a further attempt, after one broke a constraint."""
        raise NotImplementedError


def stretch(known: int) -> int:
    """Return the number of trials that a model is fitted on which takes long to fit: all of few.

    Of many it grows by a seventh at a time and stays a seventh or more below ``known``: those that are drawn first have
    mostly reported by then, so that a model of them stands for a while.
    """
    if known <= FEW:
        return known
    return int(GROWTH ** (math.floor(math.log(max(known, 2), GROWTH) + 1e-9) - 1))


def varied(space: Space) -> dict[str, Domain]:
    """Return the hyperparameters of which there is more than one value, those before that others depend on.

    What exists only beside another's value comes after it.
    """
    free = {name: each for name, each in space.domains.items() if cells(each) != 1}
    return dict(sorted(free.items(), key=lambda item: _depth(item[0], space)))


def cells(domain: Domain) -> int | None:
    """Return how many values a domain has, each with the same share of its scale; None where it is no such."""
    if isinstance(domain, Choice):
        return len(domain.values)
    if isinstance(domain, Fixed):
        return 1
    low, high = domain.ends
    if low == high:
        return 1
    step = domain.step if isinstance(domain, Integer | Uniform) else None
    if step is None and not isinstance(domain, Integer):
        return None
    return round((high - low) / (step or 1)) + 1


def exists(domain: Domain, values: Mapping[str, Any]) -> bool:
    """Return whether a hyperparameter exists beside these, which include all that it depends on."""
    return all(condition.holds(values) for condition in domain.when)


def _depth(name: str, space: Space) -> int:
    """Return how many conditions lie between a hyperparameter and one that always exists."""
    above = (condition.name for condition in space.domains[name].when)
    return max((1 + _depth(each, space) for each in above), default=0)
