"""From a run's folder back to values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import ExperimentFileError, RecordError, explain
from orchestrator.records.checking import check_line
from orchestrator.records.folder import RunFolder
from orchestrator.records.journal import REQUIRED, told_once
from orchestrator.records.lines import read_lines
from orchestrator.records.requests import requests_of
from orchestrator.records.run import RunRecords, TrialRecord
from orchestrator.records.standing import see_driver
from orchestrator.records.writer import TrialEnd

_ENDED_FIELDS = [field.name for field in fields(TrialEnd) if field.name not in ("trial", "status")]
_EPOCH_FIELDS = ("trial", "epoch", "metrics", "seconds")
_BY_EVENT = {
    "started": ("index", "seed", "hyperparameters", "time"),
    "ended": ("status", "time"),
    "winner": ("trial", "epoch"),
}
_BY_KIND = {"day": ("metrics",), "applied": ("action",)}


def read_run(path: str | Path, storage: str | Path = "./runs") -> RunRecords:
    """Return everything recorded about a run, found by its name below ``storage`` or by path.

    Raises UnknownNameError where there is no such run and RecordError where a record is damaged.
    """
    folder = RunFolder.open(path, storage)
    driver = see_driver(
        folder
    )  # first: one that ends after this look has recorded it in what is read next
    return RunRecords(
        folder=folder,
        experiment=_read_experiment(folder.experiment_file),
        manifest=_read_manifest(folder.manifest_file),
        trials=_read_trials(folder.trials_file),
        epochs=_read_checked(folder.epochs_file, _EPOCH_FIELDS),
        events=_read_checked(folder.events_file, ("event", "time"), _BY_EVENT),
        journal=told_once(_read_checked(folder.journal_file, REQUIRED, _BY_KIND)),
        requests=tuple(requests_of(folder)),
        driver=driver,
    )


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


def _read_checked(
    file: Path, required: tuple[str, ...], more: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[dict[str, Any], ...]:
    """Return a file's records, each of which has the fields it cannot do without.

    ``more`` are those that a line of a certain event, or of a certain kind of entry, needs besides.
    """
    records = read_lines(file)
    for number, record in enumerate(records, start=1):
        where = f"{file}, line {number}"
        needed = (more or {}).get(str(record.get(required[0])), ())
        check_line(record, (*required, *needed), where)
    return tuple(records)


def _read_trials(file: Path) -> tuple[TrialRecord, ...]:
    """Fold the lines into one record a trial: the last word about a trial counts."""
    trials: dict[str, TrialRecord] = {}
    for number, line in enumerate(read_lines(file), start=1):
        where = f"{file}, line {number}"
        check_line(line, ("event", "trial", *_BY_EVENT.get(str(line.get("event")), ())), where)
        name = line["trial"]
        if line["event"] == "started":
            trials[name] = _started(line)
        elif line["event"] == "ended":
            trials[name] = _ended(trials.get(name), line, where)
        else:
            raise RecordError(explain(where, "an event", line["event"], ("started", "ended")))
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
    )


def _ended(trial: TrialRecord | None, line: Mapping[str, Any], where: str) -> TrialRecord:
    if trial is None:
        raise RecordError(explain(where, "a trial that was started before", line["trial"]))
    facts: dict[str, Any] = {name: line.get(name) for name in _ENDED_FIELDS}
    return replace(trial, ending=line["status"], ended=line["time"], **facts)
