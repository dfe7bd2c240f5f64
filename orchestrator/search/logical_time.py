"""The same decisions on any number of workers: a scheduler is told trials in the order of their indices.

A decision about trial i at an epoch is made from the trials j < i that came to that epoch, as one worker would make it,
and is due once each of them has come there or is over before. A trial that comes earlier is paused until then. Pure: no
clock, and no memory of when a thing was told.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.records import trial_index
from orchestrator.schedulers import Decision, Forecast, Scheduler, SchedulerMaker
from orchestrator.schedulers.scheduler import CONTINUE, UNKNOWN, Ties

NOT_DUE = Decision(stop=False, pause=True)


@dataclass(frozen=True)
class InLogicalTime:
    """Makes the scheduler of another maker decide by logical time."""

    maker: SchedulerMaker

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the scheduler for trials of ``epochs`` epochs."""
        return LogicalTime(self.maker.make(epochs, mode))

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return the other's: waiting trains nothing."""
        return self.maker.forecast(trials, epochs)


class LogicalTime:
    """Tells a scheduler each epoch at which it decides trial by trial, whoever came first.

    The scheduler must pause nothing, and decide at an epoch by what it was told of trials at that epoch or before it
    alone. What has gone further was not stopped: decisions of another scheduler, before an extension, stand.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.name = scheduler.name
        self._trials: dict[int, _Trial] = {}
        self._due = dict.fromkeys(scheduler.milestones, 0)
        self._waiting: dict[int, int] = {}
        self._stops = 0

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the scheduler's."""
        return self._scheduler.milestones

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Take one trial's metric after one epoch; decide where that is due, else have the trial wait."""
        index = trial_index(trial)
        told = self._trials.setdefault(index, _Trial(trial))
        told.went_beyond(epoch - 1)
        if epoch > self._waiting.get(index, epoch):
            del self._waiting[index]
        if epoch in told.decided:
            return told.decided[epoch]
        told.last = max(told.last, epoch)
        told.untold[epoch] = (value, ties)
        if epoch not in self._due:
            return CONTINUE
        if index < self._due[epoch]:  # it was over, and goes on after all
            self._decide(told, epoch)
        self._settle(epoch)
        if epoch not in told.decided:
            self._waiting[index] = epoch
        return told.decided.get(epoch, NOT_DUE)

    def ended(self, trial: str) -> None:
        """Take in that nobody has to wait for a trial any more."""
        index = trial_index(trial)
        self._trials.setdefault(index, _Trial(trial)).over = True
        self._waiting.pop(index, None)
        for epoch in self.milestones:
            self._settle(epoch)

    def passed(self, trial: str) -> None:
        """Take in that a trial goes on beyond its last epoch."""
        index = trial_index(trial)
        told = self._trials.setdefault(index, _Trial(trial))
        told.over = False
        told.went_beyond(told.last)
        self._waiting.pop(index, None)

    def promote(self) -> list[str]:
        """Return the waiting trials that may go on, in the order of their indices."""
        return [trial for trial, decision in self._decided() if not decision.stop]

    def drop(self) -> dict[str, Decision]:
        """Return the waiting trials that are stopped."""
        return {trial: decision for trial, decision in self._decided() if decision.stop}

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Have the scheduler decide about all trials that came to an epoch, with all that is known by now."""
        for index in sorted(self._trials):
            self._decide(self._trials[index], epoch)
        return self._scheduler.review(epoch)

    def _decided(self) -> list[tuple[str, Decision]]:
        waiting = ((self._trials[i], self._waiting[i]) for i in sorted(self._waiting))
        return [(t.name, t.decided[epoch]) for t, epoch in waiting if epoch in t.decided]

    def _settle(self, first: int) -> None:
        """Decide what is due at an epoch; and at later ones, where nobody waits any more for those stopped there."""
        before = self._stops
        for epoch in self.milestones[bisect_left(self.milestones, first) :]:
            while (told := self._trials.get(self._due[epoch])) and self._is_due(told, epoch):
                self._due[epoch] += 1
            if self._stops == before:
                return

    def _is_due(self, told: _Trial, epoch: int) -> bool:
        if epoch in told.untold:
            self._decide(told, epoch)
        return epoch in told.decided or told.over or told.stopped

    def _decide(self, told: _Trial, epoch: int) -> None:
        """Tell the scheduler a trial's epochs until this one, and keep what it says at those where it decides."""
        for each in sorted(each for each in told.untold if each <= epoch):
            decision = self._scheduler.report(told.name, each, *told.untold.pop(each))
            if each in self._due:
                told.decided[each] = decision
                told.stopped = told.stopped or decision.stop
                self._stops += decision.stop
        told.went_beyond(told.beyond)


@dataclass
class _Trial:
    """What was told of a trial: its ``last`` epoch, and which are ``untold`` to the scheduler; what was ``decided``.

    It is known to have gone ``beyond`` an epoch; it comes to no further one where it is ``over``, or ``stopped``.
    """

    name: str
    last: int = 0
    beyond: int = 0
    untold: dict[int, tuple[Any, Ties]] = field(default_factory=dict)
    decided: dict[int, Decision] = field(default_factory=dict)
    over: bool = False
    stopped: bool = False

    def went_beyond(self, epoch: int) -> None:
        """Let no decision until this epoch have stopped it."""
        self.beyond = max(self.beyond, epoch)
        if not self.stopped:
            return
        for each, decision in self.decided.items():
            if decision.stop and each <= self.beyond:
                self.decided[each] = replace(decision, stop=False)
        self.stopped = any(decision.stop for decision in self.decided.values())
