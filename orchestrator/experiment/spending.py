"""What earlier drivers spent on a run and on each trial that goes on, as its records have it: limits span them all."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from orchestrator.experiment.gaps import incomplete_trials
from orchestrator.records import RunRecords
from orchestrator.search import Plan

if TYPE_CHECKING:
    from orchestrator.tuning.failures import Failure
    from orchestrator.tuning.protocol import Spent


def spent(
    records: RunRecords,
    plan: Plan,
    pending: AbstractSet[str],
    restored: AbstractSet[str] = frozenset(),
) -> Spent:
    """Return what was spent on a run, and on its ``pending`` trials, which are yet to end.

    Nothing was spent on those of them that are ``restored``: trained again for their states alone.
    """
    from orchestrator.tuning.protocol import Spent, SpentOnTrial

    over = [trial for trial in records.trials if trial.trial not in pending]
    seconds = seconds_of_trials(records, incomplete_trials(records, plan) | restored)
    failures = _failures(records)
    return Spent(
        seconds=_seconds_unpaused(records),
        trials=len(over),
        epochs=len(records.epochs),
        failed=sum(trial.status == "failed" for trial in over),
        on={
            trial.trial: SpentOnTrial(
                seconds.get(trial.trial, 0.0), tuple(failures.get(trial.trial, ()))
            )
            for trial in records.trials
            if trial.trial in pending
        },
    )


def _seconds_unpaused(records: RunRecords) -> float:
    """Return how long a run was worked on, without its waits for room on a disk."""
    paused = (float(event["seconds"]) for event in records.events if event["event"] == "paused")
    return max(0.0, records.seconds - sum(paused))


def seconds_of_trials(records: RunRecords, anew: AbstractSet[str]) -> dict[str, float]:
    """Return how long each trial has been in training, at the least; nothing of those that are trained ``anew``.

    It is the sum of its recorded epochs, or what was written down when it was last cut off.
    """
    found: dict[str, float] = {}
    for row in records.epochs:
        found[row["trial"]] = found.get(row["trial"], 0.0) + float(row.get("seconds") or 0.0)
    for trial in records.trials:
        found[trial.trial] = max(found.get(trial.trial, 0.0), trial.seconds or 0.0)
    return {trial: seconds for trial, seconds in found.items() if trial not in anew}


def _failures(records: RunRecords) -> dict[str, list[Failure]]:
    """Return what open trials were tried again after, but for lack of memory.

    As many trials train at once after a resume as planned, perhaps on a larger machine.
    """
    from orchestrator.tuning.failures import Failure

    open_ones = {t.trial for t in records.trials if t.ending in (None, "interrupted")}
    found: dict[str, list[Failure]] = {}
    for event in records.events:
        if event["event"] != "retried" or event["trial"] not in open_ones:
            continue
        if event["failure"] != "out_of_memory":
            failure = Failure(event["failure"] or "error", str(event["error"]), whole="")
            found.setdefault(event["trial"], []).append(failure)
    return found
