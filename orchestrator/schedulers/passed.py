"""What was passed stays passed, and what was stopped stays stopped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.schedulers.decision import UNKNOWN, Decision, Scheduler, Ties, promoted


class PassedBefore:
    """A scheduler that stops no trial before the epoch its records reach, and stops it where it was stopped.

    Where a damaged record was taken out and its epoch trained again, the value comes later than it did and ranks
    among more of them: the decision made then, one of ``stops`` {trial: (epoch, decision)}, holds.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        reached: Mapping[str, int],
        stops: Mapping[str, tuple[int, Decision]] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._reached = dict(reached)
        self._stops = dict(stops or {})
        self.name = scheduler.name

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the scheduler's."""
        return self._scheduler.milestones

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Tell the scheduler; pass its decision on where it is news."""
        decision = self._scheduler.report(trial, epoch, value, ties)
        stopped_at, stop = self._stops.get(trial, (None, decision))
        if epoch == stopped_at:
            return stop
        if decision.stop and epoch < self._reached.get(trial, 0):
            return replace(decision, stop=False)
        return decision

    def promote(self) -> Iterable[str]:
        """Return the scheduler's."""
        return promoted(self._scheduler)

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Return the scheduler's."""
        return self._scheduler.review(epoch)
