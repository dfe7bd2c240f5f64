"""From a run's folder back to values."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import ExperimentFileError, RecordError, explain
from orchestrator.records.extensions import caught_up
from orchestrator.records.folder import RunFolder
from orchestrator.records.journal import told_once
from orchestrator.records.lines import DamagedLineWarning, warn_of_torn_line, way_out
from orchestrator.records.requests import requests_of
from orchestrator.records.run import RunRecords
from orchestrator.records.sorting import Sorting
from orchestrator.records.standing import see_driver
from orchestrator.records.trial import TrialRecord
from orchestrator.records.writer import TrialEnd

_ENDED_FIELDS = [field.name for field in fields(TrialEnd) if field.name not in ("trial", "status")]

NAMED = 5
"""How many damaged lines of a file are named."""


@dataclass
class _Reader:
    """Reads files of records, and remembers which lines of them it left out."""

    exact: bool
    left_out: dict[Path, list[int]] = field(default_factory=dict)

    def lines(self, file: Path) -> tuple[dict[str, Any], ...]:
        """Return a file's whole records. Raises RecordError where it is to be exact and a line is damaged."""
        sorting = Sorting.of(file)
        if sorting.torn is not None:
            warn_of_torn_line(file, sorting.torn)
            del sorting.faults[sorting.torn]
        for number, fault in sorting.faults.items():
            if self.exact:
                raise RecordError(f"{file}, line {number}: {fault} {way_out(file)}")
            self.left_out.setdefault(file, []).append(number)
        return tuple(sorting.whole.values())

    @property
    def damage(self) -> tuple[str, ...]:
        """Which lines of which files were left out, each file with its lines."""
        return tuple(f"{file.name}, {_numbered(lines)}" for file, lines in self.left_out.items())

    def warn(self) -> None:
        """Tell whoever asked a room of ours what was left out."""
        for file, lines in self.left_out.items():
            message = f"{file}, {_numbered(lines)}: damaged and left out. {way_out(file)}"
            warnings.warn(message, DamagedLineWarning, stacklevel=3)


def _numbered(lines: list[int]) -> str:
    if len(lines) == 1:
        return f"line {lines[0]}"
    more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
    return f"lines {', '.join(map(str, lines[:NAMED]))}{more}"


def read_run(path: str | Path, storage: str | Path = "./runs", exact: bool = False) -> RunRecords:
    """Return everything recorded about a run, found by its name below ``storage`` or by path.

    Damaged lines are left out with a DamagedLineWarning that names file and lines, and are the records' ``damage``;
    for whoever goes on from them, they are a RecordError where it is to be ``exact``. Raises UnknownNameError where
    there is no such run, and RecordError where its experiment or its manifest is damaged.
    """
    folder = RunFolder.open(path, storage)
    driver = see_driver(folder)  # first: what one does after this look is in what is read next
    reader = _Reader(exact)
    events = reader.lines(folder.events_file)
    records = RunRecords(
        folder=folder,
        experiment=caught_up(_read_experiment(folder.experiment_file), events),
        manifest=_read_manifest(folder.manifest_file),
        trials=_trials_of(reader.lines(folder.trials_file), folder.trials_file),
        epochs=reader.lines(folder.epochs_file),
        events=events,
        journal=told_once(reader.lines(folder.journal_file)),
        requests=tuple(requests_of(folder)),
        driver=driver,
        damage=reader.damage,
    )
    reader.warn()
    return records


def read_events(folder: RunFolder) -> tuple[dict[str, Any], ...]:
    """Return what happened to a run as a whole, oldest first; damaged lines are left out as by ``read_run``."""
    reader = _Reader(exact=False)
    events = reader.lines(folder.events_file)
    reader.warn()
    return events


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


def _trials_of(lines: Iterable[Mapping[str, Any]], file: Path) -> tuple[TrialRecord, ...]:
    """Fold the lines into one record a trial: the last word about a trial counts."""
    trials: dict[str, TrialRecord] = {}
    for line in lines:
        name = line["trial"]
        trials[name] = _started(line) if line["event"] == "started" else _ended(trials[name], line)
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
