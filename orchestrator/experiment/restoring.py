"""States that are gone from a run's folder: what is trained again for them, and what cannot go on without them.

A trial of a caviar gives the same numbers from its seed. A babysat model does so only where nobody has asked anything
of it: what was asked, and when, is part of what it is.
"""

from __future__ import annotations

from dataclasses import replace

from orchestrator.errors import RecordError
from orchestrator.experiment.remaining import Resumed, decisions, reached, stops
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.schedulers import PassedBefore
from orchestrator.search import TrialSpec
from orchestrator.trials import StateStore


def with_lost_states(resumed: Resumed) -> Resumed:
    """Return what is left of a run, its best trial with it where that has to be trained again for its state.

    Raises RecordError for a babysat model that is to go on from a state that is gone. Nothing is written but the best
    state of a panda, where a copy of it is kept.
    """
    records = resumed.records
    if records is None:
        return resumed
    if resumed.prepared.plan.nursery is not None:
        _check_pandas(resumed, records)
    lost = lost_winner(records)
    search = resumed.search or decisions(resumed.plan, records)[0]
    if lost is None or lost.trial in search.pending or not is_repeatable(lost, records):
        return resumed
    plan = resumed.plan
    if search.is_done:
        plan = replace(plan, limits=type(plan.limits)())  # the run is over: none can be met
    search.scheduler = PassedBefore(search.scheduler, reached(records), stops(records, ()))
    search.add(
        TrialSpec(lost.trial, lost.index, lost.seed, dict(lost.hyperparameters), group=lost.group)
    )
    prepared = replace(resumed.prepared, plan=plan)
    return replace(resumed, prepared=prepared, search=search, restored=frozenset({lost.trial}))


def lost_winner(records: RunRecords) -> TrialRecord | None:
    """Return the newest group's best trial where its state is gone; None where it is there, or no trial has a best."""
    for trial in records.contenders[:1]:
        if not StateStore.of(records.folder).has_best(trial.trial):
            return trial
    return None


def is_repeatable(trial: TrialRecord, records: RunRecords) -> bool:
    """Return whether a trial gives the same from its seed again."""
    panda = records.experiment.get("panda")
    if records.experiment.get("strategy") != "panda" or not isinstance(panda, dict):
        return True
    by_the_clock = "epoch" not in str(panda.get("day")) and "step" not in str(panda.get("day"))
    was_asked = any(entry["kind"] == "asked" for entry in records.journal) or records.requests
    return not (trial.origin or records.state.extensions or was_asked or by_the_clock)


def way_back(trial: TrialRecord, records: RunRecords) -> str:
    """Return what brings a trial's state back."""
    path = records.folder.path
    if is_repeatable(trial, records):
        return f"put it back, or let 'orchestrator resume {path}' train the trial again"
    return (
        f"put it back, then 'orchestrator resume {path}'; or 'orchestrator replay {path}' writes the file that trains"
        " anew through the same changes"
    )


def _check_pandas(resumed: Resumed, records: RunRecords) -> None:
    """Refuse to begin a babysat model anew that has trained already: it would become another one."""
    states = StateStore.of(records.folder)
    for name in sorted(resumed.search.pending if resumed.search else ()):
        trial = records.trial(name)
        if trial is None or not records.of(name).own_epochs:
            continue
        last = states.days(name).last
        if is_repeatable(trial, records) and not last.exists():
            continue
        try:
            states.about(last)
        except RecordError as error:
            raise RecordError(
                f"{records.name}: expected the last state of {name}, from which it goes on. {error} It cannot be"
                f" begun anew, with what was asked of it: {way_back(trial, records)}."
            ) from None
