"""ASHA in epochs: the asynchronous successive halving of Li et al. 2020 (MLSys), promotion variant."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orchestrator.schedulers.noise import Noise
from orchestrator.schedulers.scheduler import (
    CONTINUE,
    UNKNOWN,
    Decision,
    Ties,
    reported,
    score,
)
from orchestrator.schedulers.start_cost import Remark, StartCost


class Place(NamedTuple):
    """A trial's place in a rung: those that tie in all that decides (``Score``) rank as they came."""

    key: tuple[float, ...]
    arrival: int
    trial: str

    @property
    def is_finite(self) -> bool:
        """Whether its value is a number."""
        return self.key[0] != math.inf


@dataclass
class PromotionRung:
    """The trials that came to an epoch, best first, and which of them may go on.

    Each arrival can bring one more trial among the best ``1/reduction_factor`` of those that have come: it may go on
    from then on, whoever comes later. So who may follows from the order of arrivals alone, not from when a worker was
    free.
    """

    reduction_factor: float
    noise: Noise | None = None
    best_first: list[Place] = field(default_factory=list)
    places: dict[str, Place] = field(default_factory=dict)
    may_go_on: dict[str, Place] = field(default_factory=dict)
    chosen: set[str] = field(default_factory=set)

    def add(self, trial: str, key: tuple[float, ...]) -> Place:
        """Take in a trial that has come; one that is no number never goes on."""
        place, before = Place(key, len(self.places), trial), self.passing
        self.places[trial] = place
        insort(self.best_first, place)
        newest = place if bisect_left(self.best_first, place) < self.passing else None
        if newest is None and self.passing > before:
            newest = self.best_first[self.passing - 1]
        if newest is not None and newest.is_finite and newest.trial not in self.chosen:
            self.chosen.add(newest.trial)
            self.may_go_on[newest.trial] = newest
        if self.noise is not None:
            self._let_on_what_may_be_better(self.noise)
        return place

    def _let_on_what_may_be_better(self, noise: Noise) -> None:
        """Have those behind the best go on too that the metric's noise may have put there."""
        for place in self.best_first[self.passing :] if self.passing else ():
            if not noise.may_pass(-place.key[0], self.cutoff):
                return
            if place.trial not in self.chosen:
                self.chosen.add(place.trial)
                self.may_go_on[place.trial] = place

    def went_on(self, trial: str) -> None:
        """Note that a trial has."""
        self.chosen.add(trial)
        self.may_go_on.pop(trial, None)

    @property
    def passing(self) -> int:
        """How many are the best ``1/reduction_factor`` of those that have come."""
        return math.floor(len(self.places) / self.reduction_factor)

    def is_among_the_best(self, place: Place) -> bool:
        """Return whether a trial is among the best by now, where one always is."""
        rank = bisect_left(self.best_first, place)
        if self.noise is not None and self.noise.may_pass(-place.key[0], self.cutoff):
            return True
        return place.is_finite and rank < max(1, self.passing)

    @property
    def cutoff(self) -> float:
        """The score of the last that is among the best; of the best where they are too few yet."""
        return -self.best_first[max(1, self.passing) - 1].key[0]


class PromotingAsha:
    """Pauses trials at each rung; whenever there is room, the best ``1/reduction_factor`` of a rung go on.

    One that is among them as it comes goes on at once. The highest rung comes first, then the best of it. Once nothing
    else is left and none has trained all ``epochs``, the best of the highest rung goes on all the same.
    """

    name = "asha"
    deepens = True

    def __init__(
        self,
        rungs: tuple[int, ...],
        reduction_factor: float,
        epochs: int,
        mode: str,
        noise: Noise | None = None,
    ) -> None:
        self._epochs = epochs
        self._mode = mode
        self.rungs = {epoch: PromotionRung(reduction_factor, noise) for epoch in rungs}
        self.waiting: dict[str, int] = {}
        self.finished: dict[str, int] = {}

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the rungs' epochs, ascending."""
        return tuple(self.rungs)

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Pause a trial that comes to a rung and is not among the best; stop one whose value is no number."""
        if epoch > self.waiting.get(trial, epoch):
            self.rungs[self.waiting.pop(trial)].went_on(trial)
        if epoch >= self._epochs:
            self.finished.setdefault(trial, epoch)
        rung = self.rungs.get(epoch)
        if rung is None or trial in rung.places:
            return CONTINUE
        place = rung.add(trial, (-score(value, self._mode), *ties))
        cutoff = reported(rung.cutoff, self._mode)
        if not place.is_finite:
            return Decision(stop=True, cutoff=cutoff)
        if trial in rung.may_go_on and self.promotes_from(
            epoch
        ):  # it is the one that its arrival lets on: its worker keeps it
            rung.went_on(trial)
            return Decision(stop=False, cutoff=cutoff)
        self.waiting[trial] = epoch
        return Decision(stop=False, cutoff=cutoff, pause=True)

    def promotes_from(self, epoch: int) -> bool:
        """Return whether those that may go on from a rung do so now."""
        return True

    def promote(self) -> list[str]:
        """Return all that may go on and have not yet, the first of them first."""
        return [
            place.trial
            for rung in reversed(self.rungs.values())
            for place in sorted(rung.may_go_on.values())
        ]

    def promote_last(self) -> Iterable[str]:
        """Return those of the highest rung, best first, where none has trained all epochs."""
        if self.finished:
            return
        for epoch, rung in reversed(self.rungs.items()):
            yield from (p.trial for p in rung.best_first if self.waiting.get(p.trial) == epoch)

    def stay_paused(self, least: int) -> list[str]:
        """Return those at rungs where nobody comes any more; none while a failure could bring the best of them on."""
        if not self.finished:
            return []
        here = ((t, epoch) for t, epoch in self.waiting.items() if epoch <= least)
        return [trial for trial, epoch in here if trial not in self.rungs[epoch].may_go_on]

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Hold each trial that came to ``epoch`` against the best ``1/reduction_factor`` of them, of one the best."""
        rung = self.rungs.get(epoch)
        if rung is None or not rung.places:
            return {}
        passing, cutoff = max(1, rung.passing), reported(rung.cutoff, self._mode)
        return {
            place.trial: Decision(rank >= passing or not place.is_finite, cutoff)
            for rank, place in enumerate(rung.best_first)
        }


class AutoAsha(PromotingAsha):
    """Pauses and promotes until it is known what a resume costs; where that is too much, stops from then on."""

    def __init__(
        self,
        rungs: tuple[int, ...],
        reduction_factor: float,
        epochs: int,
        mode: str,
        noise: Noise | None = None,
    ) -> None:
        super().__init__(rungs, reduction_factor, epochs, mode, noise)
        self.cost = StartCost(epochs)
        self.promotes: bool | None = None

    def hear(self, row: Mapping[str, Any]) -> Remark | None:
        """Take in what a row tells of costs; return what is chosen, once it is."""
        if self.promotes is not None:
            return None
        self.cost.add(row)
        self.promotes = self.cost.affordable
        self.deepens = self.promotes is not False
        return None if self.promotes is None else _chosen(self.promotes, self.cost)

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Pause a trial that comes to a rung; or decide at once, as the stopping variant does."""
        decision = super().report(trial, epoch, value, ties)
        if self.promotes is not False or not decision.pause:
            return decision
        rung = self.rungs[epoch]
        if rung.is_among_the_best(rung.places[trial]):
            rung.went_on(trial)
            del self.waiting[trial]
            return Decision(stop=False, cutoff=decision.cutoff)
        return Decision(stop=True, cutoff=decision.cutoff)


def _chosen(promotes: bool, of: StartCost) -> Remark:
    measured = of.measured
    share = f"{measured['share']:.0%} of a full training"
    cost = f"to {of.what} a trial costs {measured['start_seconds']:.2g} s, {share}"
    how = "pauses and promotes trials" if promotes else "stops trials, and pauses none from here on"
    return Remark(f"asha {how}: {cost}", {"scheduler": "asha", "promotes": promotes, **measured})
