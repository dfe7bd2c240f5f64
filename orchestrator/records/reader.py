"""From a run's folder back to values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import ExperimentFileError, RecordError, explain
from orchestrator.records.checking import check_record
from orchestrator.records.extensions import caught_up
from orchestrator.records.folder import RunFolder
from orchestrator.records.journal import told_once
from orchestrator.records.lines import read_lines, way_out
from orchestrator.records.requests import requests_of
from orchestrator.records.run import RunRecords
from orchestrator.records.standing import see_driver
from orchestrator.records.trial import TrialRecord
from orchestrator.records.writer import TrialEnd

_ENDED_FIELDS = [field.name for field in fields(TrialEnd) if field.name not in ("trial", "status")]


def read_run(path: str | Path, storage: str | Path = "./runs") -> RunRecords:
    """Return everything recorded about a run, found by its name below ``storage`` or by path.

    Raises UnknownNameError where there is no such run and RecordError where a record is damaged.
    """
    folder = RunFolder.open(path, storage)
    driver = see_driver(folder)  # first: what one does after this look is in what is read next
    events = read_events(folder)
    return RunRecords(
        folder=folder,
        experiment=caught_up(_read_experiment(folder.experiment_file), events),
        manifest=_read_manifest(folder.manifest_file),
        trials=_read_trials(folder.trials_file),
        epochs=_read_checked(folder.epochs_file),
        events=events,
        journal=told_once(_read_checked(folder.journal_file)),
        requests=tuple(requests_of(folder)),
        driver=driver,
    )


def read_events(folder: RunFolder) -> tuple[dict[str, Any], ...]:
    """Return what happened to a run as a whole, oldest first."""
    return _read_checked(folder.events_file)


def read_experiment_of(folder: RunFolder) -> dict[str, Any]:
    """Return the complete experiment as a run keeps it."""
    return _read_experiment(folder.experiment_file)


def _read_experiment(file: Path) -> dict[str, Any]:
    # Imported here: whoever only writes records need not load what checks experiments.
    from orchestrator.config import read_document

    try:
        return dict(read_document(file).content)
    except ExperimentFileError as error:
        raise RecordError(str(error)) from None


def _read_manifest(file: Path) -> dict[str, Any]:
    if not file.exists():
        return {}
    try:
        manifest = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{file}: expected JSON. Received: {error}") from None
    if not isinstance(manifest, dict):
        raise RecordError(explain(str(file), "a JSON object", manifest))
    return manifest


def _read_checked(file: Path) -> tuple[dict[str, Any], ...]:
    """Return a file's records, each of which has the fields it cannot do without."""
    records = read_lines(file)
    for number, record in enumerate(records, start=1):
        check_record(file, number, record)
    return tuple(records)


def _read_trials(file: Path) -> tuple[TrialRecord, ...]:
    """Fold the lines into one record a trial: the last word about a trial counts."""
    trials: dict[str, TrialRecord] = {}
    for number, line in enumerate(_read_checked(file), start=1):
        name = line["trial"]
        if line["event"] == "started":
            trials[name] = _started(line)
        elif name in trials:
            trials[name] = _ended(trials[name], line)
        else:
            unknown = explain(f"{file}, line {number}", "a trial that was started before", name)
            raise RecordError(f"{unknown} {way_out(file)}")
    _check_ancestry(trials, file)
    return tuple(trials.values())


def _check_ancestry(trials: Mapping[str, TrialRecord], file: Path) -> None:
    """Raise RecordError where a branch descends from itself."""
    for trial in trials.values():
        seen: list[str] = []
        at: TrialRecord | None = trial
        while at is not None and at.is_branch and at.origin is not None:
            seen.append(at.trial)
            parent = str(at.origin["trial"])
            if parent in seen:
                expected = "expected branches of trials that were there before"
                raise RecordError(
                    explain(f"{file}, trial {trial.trial}", expected, [*seen, parent])
                )
            at = trials.get(parent)


def _started(line: Mapping[str, Any]) -> TrialRecord:
    return TrialRecord(
        trial=line["trial"],
        index=line["index"],
        seed=line["seed"],
        hyperparameters=line["hyperparameters"],
        started=line["time"],
        origin=line.get("origin"),
        group=int(line.get("group") or 1),
    )


def _ended(trial: TrialRecord, line: Mapping[str, Any]) -> TrialRecord:
    facts: dict[str, Any] = {name: line.get(name) for name in _ENDED_FIELDS}
    return replace(trial, ending=line["status"], ended=line["time"], **facts)
