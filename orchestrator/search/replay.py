"""Recorded epochs as a scheduler is shown them, just trained or read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.records import score_of
from orchestrator.schedulers import Decision, Scheduler
from orchestrator.schedulers.scheduler import heard


def report_row(scheduler: Scheduler, row: Mapping[str, Any], metric: str) -> Decision:
    """Show a scheduler a row of ``epochs.jsonl``, just trained or read again; return its decision."""
    score = score_of(row, metric, "max")  # the scheduler has a direction of its own
    if score is None:
        return scheduler.report(row["trial"], int(row["epoch"]), None)
    return scheduler.report(row["trial"], score.epoch, score.value, score.ties)


def replay(scheduler: Scheduler, rows: Iterable[Mapping[str, Any]], metric: str) -> Scheduler:
    """Feed recorded epochs to a new scheduler in their order."""
    for row in rows:
        heard(scheduler, row)
        report_row(scheduler, row, metric)
    return scheduler
