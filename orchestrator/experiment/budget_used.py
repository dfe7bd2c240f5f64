"""What earlier drivers spent on a run and its open trials, and which epochs its records lack."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any

from orchestrator.errors import RecordError
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.records.lineage import stretch_of
from orchestrator.search import Plan
from orchestrator.trials import StateStore

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
                seconds.get(trial.trial, 0.0),
                tuple(failures.get(trial.trial, ())),
                facts_kept(records, trial.trial),
            )
            for trial in records.all_trials
            if trial.trial in pending
        },
    )


def facts_kept(records: RunRecords, trial: str) -> dict[str, Any]:
    """Return what a trial's last state tells of its model: it may end without being trained again."""
    states = StateStore.of(records.folder)
    try:
        return dict(states.about(states.last(trial)).get("facts", {}))
    except RecordError:
        return {}


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
    for trial in records.all_trials:
        found[trial.trial] = max(found.get(trial.trial, 0.0), trial.seconds or 0.0)
    return {trial: seconds for trial, seconds in found.items() if trial not in anew}


def _failures(records: RunRecords) -> dict[str, list[Failure]]:
    """Return what open trials were tried again after, but for lack of memory.

    As many trials train at once after a resume as planned, perhaps on a larger machine.
    """
    from orchestrator.tuning.failures import Failure

    open_ones = {t.trial for t in records.all_trials if t.ending in (None, "interrupted")}
    found: dict[str, list[Failure]] = {}
    for event in records.events:
        if event["event"] != "retried" or event["trial"] not in open_ones:
            continue
        if event["failure"] != "out_of_memory":
            failure = Failure(event["failure"] or "error", str(event["error"]), whole="")
            found.setdefault(event["trial"], []).append(failure)
    return found


def incomplete_trials(records: RunRecords, plan: Plan) -> set[str]:
    """Return the trials that have to be taken up again from their beginning, so that what is missing is recorded.

    Everything else they tell is known already. A panda is not trained again, since what was asked of it cannot be asked
    again: one whose end was lost tells it from its last state. Trials of an older group, whose data or code may be
    gone, are left as they are.
    """
    if plan.nursery is not None:
        return {trial.trial for trial in records.trials if _end_is_lost(trial.trial, records)}
    lengths = _full_lengths(records, plan)
    newest = (trial for trial in records.all_trials if trial.group == records.state.group)
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
        known = [*records.of(trial).epochs, *about["rows"]]
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
