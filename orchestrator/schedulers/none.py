"""No early stopping: every trial trains for all of its epochs."""

from __future__ import annotations

from typing import Any

from orchestrator.schedulers.decision import CONTINUE, UNKNOWN, Decision, Scheduler, Ties
from orchestrator.schedulers.options import Forecast, SchedulerOptions


class NoSchedulerOptions(SchedulerOptions):
    """Every trial trains for all of its epochs."""

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the scheduler that stops nothing."""
        return _EveryTrialFinishes()

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return all epochs of all trials."""
        return Forecast((), trials * epochs, float(trials * epochs))


class _EveryTrialFinishes:
    """Stops nothing."""

    name = "none"
    milestones: tuple[int, ...] = ()

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Let the trial go on."""
        return CONTINUE

    def review(self, epoch: int) -> dict[str, Decision]:
        """Let every trial go on."""
        return {}
