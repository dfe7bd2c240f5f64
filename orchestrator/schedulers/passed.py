"""A scheduler that does not take back what was decided: a trial recorded beyond an epoch has passed it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.schedulers.decision import CONTINUE, Decision, Scheduler


class Passed:
    """Asks another scheduler, and lets a trial go on as far as ``recorded`` says that it went.

    Where a record of others is gone (a damaged line set aside), the same question asked again can get
    another answer. Everything else is the other scheduler's.
    """

    def __init__(self, scheduler: Scheduler, recorded: Mapping[str, int]) -> None:
        self._scheduler = scheduler
        self._recorded = recorded

    def __getattr__(self, name: str) -> Any:
        """Return whatever else the scheduler has."""
        return getattr(self._scheduler, name)

    @property
    def name(self) -> str:
        """Return the scheduler's name."""
        return self._scheduler.name

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the epochs at which a decision is made."""
        return self._scheduler.milestones

    def report(self, trial: str, epoch: int, value: Any) -> Decision:
        """Tell the scheduler; its answer counts for epochs beyond which nothing is recorded."""
        decision = self._scheduler.report(trial, epoch, value)
        return CONTINUE if epoch < self._recorded.get(trial, 0) else decision
