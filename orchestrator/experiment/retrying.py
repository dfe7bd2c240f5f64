"""Trials that failed, tried again: the same draws and seeds, perhaps with code that was mended since."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.compatibility import (
    check_stands_alone,
    recorded_experiment,
    unlike_surroundings,
)
from orchestrator.experiment.config_drift import check_as_begun
from orchestrator.experiment.executors import PlaceCheck, check_place
from orchestrator.experiment.extension import manifest_after, new_group, with_extension
from orchestrator.experiment.given import NOTHING, Given, check_needed
from orchestrator.experiment.manifest import manifest_of, of_the_run
from orchestrator.experiment.prepared import prepare_again
from orchestrator.experiment.remaining import Extension, Resumed, remaining
from orchestrator.records import RunFolder, RunRecords, TrialRecord, read_run
from orchestrator.records.lineage import retried_from

OUTSIDE = ("worker_died", "node_lost", "disk")
"""Failures that say nothing of the model; so do the errors that a run tries again by itself."""
ENDINGS = ("failed", "diverged")


def prepare_to_retry(
    folder: RunFolder,
    endings: Sequence[str] = ("failed",),
    given: Given = NOTHING,
    place: PlaceCheck = check_place,
) -> Resumed:
    """Return what a run has left to do once the trials that ended so begin anew; nothing is written yet.

    They keep their hyperparameters and seeds; what they trained before stays in the records and counts no more. Where
    data or code have changed since, they stay comparable only if no other trial of the newest group was trained with
    what was before: otherwise they form a group of their own. The run's lock is held by the caller. Raises
    ExperimentFileError where there is no such trial, or a babysat model that has trained.
    """
    records = read_run(folder.path, exact=True)
    check_as_begun(records)
    check_stands_alone(records)
    trials = _chosen(records, endings)
    experiment = recorded_experiment(records)
    check_needed(records, records.experiment, given)
    prepared = prepare_again(experiment, given, place)
    facts = manifest_of(prepared)
    unlike = tuple(said for _, said in unlike_surroundings(records, facts))
    event: dict[str, Any] = {"changes": {}, "forced": list(unlike)}
    names = {trial.trial for trial in trials}
    cut_off: tuple[Any, ...] = ()
    if unlike and _others_have_trained(records, names):
        fate, cut_off = new_group(records, facts)
    else:
        fate = {"group": records.state.group, "going_on": []}
        fate |= {"now": of_the_run(facts)} if unlike else {}
    before = retried_from(records.events)
    event |= {**fate, "retried": {name: before.get(name, 0) + 1 for name in sorted(names)}}
    event["epochs_before"] = sum(row["trial"] not in names for row in records.epochs)
    left = remaining(prepared, with_extension(records, event), cut_off)
    return replace(left, extension=Extension(event, manifest_after(records, event, facts)))


def is_worth_retrying(records: RunRecords) -> bool:
    """Return whether every trial of a finished run failed, for reasons outside of the model."""
    ended = records.status == "finished" and bool(records.trials)
    return ended and all(
        trial.ending == "failed" and _is_outside(trial) for trial in records.trials
    )


def _is_outside(trial: TrialRecord) -> bool:
    from orchestrator.tuning.failures import TRANSIENT

    kind = getattr(builtins, (trial.error or "").partition(":")[0], None)
    is_transient = isinstance(kind, type) and issubclass(kind, TRANSIENT)
    return trial.failure in OUTSIDE or (trial.failure == "error" and is_transient)


def _chosen(records: RunRecords, endings: Sequence[str]) -> list[TrialRecord]:
    """Return the trials of the newest group that ended so."""
    newest = [trial for trial in records.trials if trial.group == records.state.group]
    trials = [trial for trial in newest if trial.ending in endings]
    if not trials:
        counts = {end: sum(trial.ending == end for trial in newest) for end in ENDINGS}
        others = [end for end in ENDINGS if counts[end] and end not in endings]
        way = f" {counts[others[0]]} {others[0]}: --{others[0]} retries those." if others else ""
        raise ExperimentFileError(
            f"{records.name}: expected trials that {' or '.join(endings)}. Received: {len(newest)} trials, none of"
            f" which has.{way}"
        )
    if records.panda is not None and records.of(trials[0].trial).own_epochs:
        path = records.folder.path
        raise ExperimentFileError(
            f"{records.name}: expected a panda that failed before its first epoch. Received: one that has trained."
            f" 'orchestrator promote {path}' writes a file for a panda that starts from its best weights,"
            f" 'orchestrator replay {path}' one that repeats its changes."
        )
    return trials


def _others_have_trained(records: RunRecords, names: set[str]) -> bool:
    newest = (trial for trial in records.trials if trial.group == records.state.group)
    return any(t.trial not in names and records.of(t.trial).own_epochs for t in newest)
