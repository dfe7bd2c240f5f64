"""The same decisions on any number of workers: a scheduler is told trials in one worker's order.

Trials come to the first epoch at which it decides in the order of their indices, and to each further one in the order
in which it let them go on from the one before. What it decides of a trial follows from those that come there before it:
it is due once each of them has come or is over. A trial that comes too early is paused until then. Pure: no clock, and
no memory of when a thing was told.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.records import trial_index
from orchestrator.schedulers import Decision, Forecast, Scheduler, SchedulerOptions
from orchestrator.schedulers.scheduler import CONTINUE, UNKNOWN, Ties, promoted, promoted_last

NOT_DUE = Decision(stop=False, pause=True)


@dataclass(frozen=True)
class InLogicalTime:
    """Makes the scheduler of another maker decide by logical time."""

    maker: SchedulerOptions

    def judging_by(self, metric: str, rows: int) -> InLogicalTime:
        """Return the same for trials that are judged by a ``metric`` of so many validation ``rows``."""
        return InLogicalTime(self.maker.judging_by(metric, rows))

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the scheduler for trials of ``epochs`` epochs."""
        return LogicalTime(self.maker.make(epochs, mode))

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return the other's: waiting trains nothing."""
        return self.maker.forecast(trials, epochs)


class LogicalTime:
    """Tells a scheduler each epoch at which it decides trial by trial, in whichever order they came.

    What the scheduler decides at an epoch, and whom it promotes from there, must follow from what it was told of trials
    at that epoch and before it alone. What has gone further was not stopped: decisions of another scheduler, before an
    extension, stand.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self.name = scheduler.name
        self._trials: dict[int, _Trial] = {}
        self._queues = {epoch: _Queue() for epoch in scheduler.milestones}
        self._waiting: dict[int, int] = {}
        self._let_on = 0

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the scheduler's."""
        return self._scheduler.milestones

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Take one trial's metric after one epoch; decide where that is due, else have the trial wait."""
        told = self._of(trial)
        told.beyond = max(told.beyond, epoch - 1)
        if told.is_stopped:
            self._let_on_where_stopped(told)
        if epoch > self._waiting.get(told.index, epoch):
            del self._waiting[told.index]
        if epoch not in told.decided:
            told.last = max(told.last, epoch)
            told.untold[epoch] = (value, ties)
            if epoch not in self._queues:
                return CONTINUE
            self._settle(epoch)
        decision = told.decided.get(epoch, NOT_DUE)
        if epoch <= told.let_on:
            return replace(decision, pause=False)
        if decision.pause:
            self._waiting[told.index] = epoch
        return decision

    def ended(self, trial: str) -> None:
        """Take in that nobody has to wait for a trial any more."""
        told = self._of(trial)
        told.is_over = True
        self._waiting.pop(told.index, None)
        for epoch in self.milestones:
            self._settle(epoch)

    def passed(self, trial: str) -> None:
        """Take in that a trial goes on beyond its last epoch."""
        told = self._of(trial)
        told.is_over = False
        told.beyond = told.last
        self._waiting.pop(told.index, None)
        self._let_on_where_stopped(told)

    def promote(self) -> list[str]:
        """Return the waiting trials that may go on: those of the highest epoch first, in the order of their indices."""
        going_on = [(-e, i) for i, e in self._waiting.items() if e <= self._trials[i].let_on]
        return [self._trials[index].name for _, index in sorted(going_on)]

    def promote_last(self) -> list[str]:
        """Return those of which the first goes on now that nothing else is left: whoever is missing never comes."""
        self._tell_all(max(self.milestones, default=0))
        for index in sorted(self._trials):
            self._tell(self._trials[index], self._trials[index].last)
        return [*self.promote(), *promoted_last(self._scheduler)]

    def drop(self) -> dict[str, Decision]:
        """Return the waiting trials that are stopped."""
        waiting = ((self._trials[i], self._waiting[i]) for i in sorted(self._waiting))
        decided = {told.name: told.decided.get(epoch, NOT_DUE) for told, epoch in waiting}
        return {trial: decision for trial, decision in decided.items() if decision.stop}

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Have the scheduler decide about all trials that came to an epoch, with all that is known by now."""
        self._tell_all(epoch)
        return self._scheduler.review(epoch)

    def _of(self, trial: str) -> _Trial:
        """Return what is known of a trial; it comes, or came, to the first milestone in the order of its index."""
        index = trial_index(trial)
        if self.milestones:
            first = self._queues[self.milestones[0]].order
            first.extend(range(len(first), index + 1))
        return self._trials.setdefault(index, _Trial(trial, index))

    def _settle(self, first: int) -> None:
        """Decide what is due at an epoch; and at later ones, where some are let on to them."""
        before = self._let_on
        for epoch in self.milestones[bisect_left(self.milestones, first) :]:
            queue = self._queues[epoch]
            while queue.due < len(queue.order) and self._has_come(queue.order[queue.due], epoch):
                queue.due += 1
            if self._let_on == before:
                return

    def _has_come(self, index: int, epoch: int) -> bool:
        told = self._trials.get(index)
        if told is None:
            return False
        if epoch in told.untold:
            self._tell(told, epoch)
        return epoch in told.decided or told.is_over

    def _tell(self, told: _Trial, until: int) -> None:
        """Tell the scheduler a trial's epochs until this one, and keep what it says at those where it decides."""
        for epoch in sorted(epoch for epoch in told.untold if epoch <= until):
            decision = self._scheduler.report(told.name, epoch, *told.untold.pop(epoch))
            if epoch in self._queues:
                told.decided[epoch] = decision
                told.is_stopped = told.is_stopped or decision.stop
                if not (decision.stop or decision.pause):
                    self._let(told, epoch)
        if told.is_stopped:
            self._let_on_where_stopped(told)
        for name in promoted(self._scheduler):
            other = self._of(name)
            self._let(other, max(other.decided))

    def _let(self, told: _Trial, epoch: int) -> None:
        """Let a trial go on from an epoch: to the end of those that come to the next milestone."""
        if epoch <= told.let_on:
            return
        told.let_on = epoch
        self._let_on += 1
        following = bisect_right(self.milestones, epoch)
        if following < len(self.milestones):
            self._queues[self.milestones[following]].order.append(told.index)

    def _let_on_where_stopped(self, told: _Trial, paused_too: bool = False) -> None:
        """Let a trial that went on do so, whatever was decided where it passed."""
        for epoch, decision in told.decided.items():
            if epoch <= told.beyond and (decision.stop or paused_too):
                told.decided[epoch] = replace(decision, stop=False)
                self._let(told, epoch)
        told.is_stopped = any(decision.stop for decision in told.decided.values())

    def _tell_all(self, until: int) -> None:
        """Tell the scheduler of all that came to the milestones until an epoch, without waiting for the others."""
        for epoch in self.milestones[: bisect_right(self.milestones, until)]:
            came = {i: None for i in sorted(self._trials) if epoch in self._trials[i].untold}
            in_order = [index for index in self._queues[epoch].order if index in came]
            for index in dict.fromkeys([*in_order, *came]):
                self._tell(self._trials[index], epoch)
            for index in sorted(self._trials):
                if self._trials[index].let_on < epoch <= self._trials[index].beyond:
                    self._let_on_where_stopped(self._trials[index], paused_too=True)


@dataclass
class _Queue:
    """The trials that come to a milestone, in that order, and the place of the first of whom it is not decided yet."""

    order: list[int] = field(default_factory=list)
    due: int = 0


@dataclass
class _Trial:
    """What was told of a trial: its ``last`` epoch, and which are ``untold`` to the scheduler; what was ``decided``.

    It may go on from the milestone ``let_on``, and is known to have gone ``beyond`` an epoch.
    """

    name: str
    index: int
    last: int = 0
    beyond: int = 0
    let_on: int = 0
    untold: dict[int, tuple[Any, Ties]] = field(default_factory=dict)
    decided: dict[int, Decision] = field(default_factory=dict)
    is_over: bool = False
    is_stopped: bool = False
