"""Epochs that are missing from a run's records: a torn last line, a damaged one that was taken out."""

from __future__ import annotations

from orchestrator.records import RunRecords, TrialRecord
from orchestrator.strategies import Plan


def incomplete_trials(records: RunRecords, plan: Plan) -> set[str]:
    """Return the trials that have to be trained from their beginning, so that what is missing is recorded.

    Everything else they tell is known already. A panda is left as it is: what was asked of it cannot be asked again.
    """
    if plan.nursery is not None:
        return set()
    return {trial.trial for trial in records.trials if _lacks_epochs(trial, records, plan.epochs)}


def _lacks_epochs(trial: TrialRecord, records: RunRecords, epochs: int) -> bool:
    there = {int(row["epoch"]) for row in records.epochs_of(trial.trial)}
    last = max(there, default=0)
    if trial.ending == "finished":
        last = max(last, epochs)
    if trial.ending == "stopped":
        last = max(last, int((trial.stopped_by or {}).get("epoch") or 0))
    return len(there) < last
