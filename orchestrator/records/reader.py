"""From a run's folder back to values."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import ExperimentFileError, RecordError, explain
from orchestrator.records.events import TrialEnd, TrialStarted
from orchestrator.records.extensions import caught_up
from orchestrator.records.folder import FORMAT, RunFolder
from orchestrator.records.journal import told_once
from orchestrator.records.lines import DamagedLineWarning, warn_of_torn_line, way_out
from orchestrator.records.requests import requests_of
from orchestrator.records.run import RunRecords
from orchestrator.records.sorting import Sorting
from orchestrator.records.standing import see_driver

NAMED = 5
"""How many damaged lines of a file are named."""


@dataclass
class _Reader:
    """Reads files of records, and remembers which lines of them it left out."""

    exact: bool
    left_out: dict[Path, list[int]] = field(default_factory=dict)

    def lines(self, file: Path) -> tuple[Any, ...]:
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
    trial_lines = reader.lines(folder.trials_file)
    _check_ancestry(trial_lines, folder.trials_file)
    records = RunRecords(
        folder=folder,
        experiment=caught_up(_read_experiment(folder.experiment_file), events),
        manifest=read_manifest(folder.manifest_file),
        trial_lines=trial_lines,
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
    """Return the complete experiment as a run keeps it. Raises RecordError for a folder of another format."""
    read_manifest(folder.manifest_file)
    return _read_experiment(folder.experiment_file)


def _read_experiment(file: Path) -> dict[str, Any]:
    # Imported here: whoever only writes records need not load what checks experiments.
    from orchestrator.config import read_document

    try:
        return dict(read_document(file).content)
    except ExperimentFileError as error:
        raise RecordError(str(error)) from None


def read_manifest(file: Path) -> dict[str, Any]:
    """Return a run's manifest. Raises RecordError where it is damaged, or of a folder of another format."""
    if not file.exists():
        return {}
    try:
        manifest = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{file}: expected JSON. Received: {error}") from None
    if not isinstance(manifest, dict):
        raise RecordError(explain(str(file), "a JSON object", manifest))
    found = manifest.get("format", 1)
    if found != FORMAT:
        raise RecordError(
            f"{file.parent}: expected a run's folder of format {FORMAT}. Received: format {found!r}, which another"
            " version of orchestrator wrote and reads."
        )
    return manifest


def _check_ancestry(lines: Iterable[TrialStarted | TrialEnd], file: Path) -> None:
    """Raise RecordError where a branch descends from itself."""
    parents = {
        line.trial: str(line.origin["trial"]) if line.origin and not line.origin.get("run") else ""
        for line in lines
        if isinstance(line, TrialStarted)
    }
    for trial, parent in parents.items():
        seen = [trial]
        while parent and parent not in seen:
            seen.append(parent)
            parent = parents.get(parent, "")
        if parent:
            expected = "expected branches of trials that were there before"
            raise RecordError(explain(f"{file}, trial {trial}", expected, [*seen, parent]))
