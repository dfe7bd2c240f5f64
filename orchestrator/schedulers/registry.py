"""The table of schedulers, and how one is rebuilt from records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.config.options import AshaOptions, MedianOptions, NoSchedulerOptions
from orchestrator.records import score_of
from orchestrator.schedulers.asha import Asha, rung_epochs
from orchestrator.schedulers.decision import CONTINUE, UNKNOWN, Decision, Scheduler, Ties
from orchestrator.schedulers.median import MedianStopping

SchedulerOptions = AshaOptions | MedianOptions | NoSchedulerOptions


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


def report_row(scheduler: Scheduler, row: Mapping[str, Any], metric: str) -> Decision:
    """Show a scheduler a row of ``epochs.jsonl``, just trained or read again; return its decision."""
    score = score_of(row, metric, "max")  # the scheduler has a direction of its own
    if score is None:
        return scheduler.report(row["trial"], int(row["epoch"]), None)
    return scheduler.report(row["trial"], score.epoch, score.value, score.ties)


def make_scheduler(options: SchedulerOptions, epochs: int, mode: str) -> Scheduler:
    """Return the scheduler that ``options`` describe, for trials of ``epochs`` epochs."""
    match options:
        case AshaOptions():
            rungs = rung_epochs(options.grace_period, options.reduction_factor, epochs)
            return Asha(rungs, options.reduction_factor, mode)
        case MedianOptions():
            return MedianStopping(options.grace_period, options.min_trials, epochs, mode)
        case _:
            return _EveryTrialFinishes()


def replay(scheduler: Scheduler, rows: Iterable[Mapping[str, Any]], metric: str) -> Scheduler:
    """Feed recorded epochs to a new scheduler in their order: its rungs are a pure function of the records."""
    for row in rows:
        report_row(scheduler, row, metric)
    return scheduler
