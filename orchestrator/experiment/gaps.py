"""Epochs that are missing from a run's records: a torn last line, a damaged one that was taken out."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.errors import RecordError
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.records.lineage import stretch_of
from orchestrator.search import Plan
from orchestrator.trials import StateStore


def incomplete_trials(records: RunRecords, plan: Plan) -> set[str]:
    """Return the trials that have to be taken up again from their beginning, so that what is missing is recorded.

    Everything else they tell is known already. A panda is not trained again, since what was asked of it cannot be asked
    again: one whose end was lost tells it from its last state. Trials of an older group, whose data or code may be
    gone, are left as they are.
    """
    if plan.nursery is not None:
        return {trial.trial for trial in records.trials if _end_is_lost(trial.trial, records)}
    lengths = _full_lengths(records, plan)
    newest = (trial for trial in records.trials if trial.group == records.state.group)
    return {trial.trial for trial in newest if _lacks_epochs(trial, records, lengths)}


def _end_is_lost(panda: str, records: RunRecords) -> bool:
    """Return whether the records lack something of what a panda told last."""
    states = StateStore.of(records.folder)
    try:
        about = states.about(states.days(panda).last)
    except RecordError:
        return False
    rows = [row for row in records.epochs if row["trial"] == panda]
    epochs = {(stretch_of(row), row["epoch"]) for row in rows}
    entries = {entry.get("id") for entry in records.journal}
    return any((stretch_of(row), row["epoch"]) not in epochs for row in about["rows"]) or any(
        entry["id"] not in entries for entry in about["journal"]
    )


def states_ahead(records: RunRecords) -> Iterator[str]:
    """Yield the trials whose last states lie further than the records and what is told again reach.

    A power cut may take a line whose epoch a worker believed to be recorded. From its seed a trial gives the same
    numbers.
    """
    for trial, about in StateStore.of(records.folder).last_states():
        known = [*records.of(trial).own_epochs, *about["rows"]]
        if len({int(row["epoch"]) for row in known}) < int(about["epoch"]):
            yield trial


def _full_lengths(records: RunRecords, plan: Plan) -> list[int]:
    """Return how many epochs a finished trial may have: today's, and those before each extension."""
    extended = [event.get("changes", {}).get("epochs") for event in records.state.extensions]
    return sorted({plan.epochs} | {int(change[0]) for change in extended if change})


def _lacks_epochs(trial: TrialRecord, records: RunRecords, lengths: list[int]) -> bool:
    there = {int(row["epoch"]) for row in records.of(trial.trial).epochs}
    last = max(there, default=0)
    if trial.ending == "finished":
        last = next((length for length in lengths if length >= last), last)
    if trial.ending == "stopped":
        last = max(last, int((trial.stopped_by or {}).get("epoch") or 0))
    return len(there) < last
