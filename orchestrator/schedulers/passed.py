"""What was passed stays passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.schedulers.decision import Decision, Scheduler


class PassedBefore:
    """A scheduler that does not stop a trial at an epoch beyond which its records go on already.

    Where a damaged record was taken out and its epoch trained again, the value comes later than it did and ranks
    among more of them: the decision made then holds.
    """

    def __init__(self, scheduler: Scheduler, reached: Mapping[str, int]) -> None:
        self._scheduler = scheduler
        self._reached = dict(reached)
        self.name = scheduler.name

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the scheduler's."""
        return self._scheduler.milestones

    def report(self, trial: str, epoch: int, value: Any) -> Decision:
        """Tell the scheduler; pass its decision on where it is news."""
        decision = self._scheduler.report(trial, epoch, value)
        if decision.stop and epoch < self._reached.get(trial, 0):
            return replace(decision, stop=False)
        return decision
