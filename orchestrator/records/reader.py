"""From a run's folder back to values: the whole of it, or what is new since the last look."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import ExperimentFileError, RecordError, explain
from orchestrator.records.events import Event, NotARecord, TrialEnd, TrialStarted, parse
from orchestrator.records.folder import FORMAT, RunFolder
from orchestrator.records.heartbeat import see_driver
from orchestrator.records.jsonl import (
    DamagedLineWarning,
    damage_of,
    from_line,
    split_lines,
    warn_of_torn_line,
    way_out,
)
from orchestrator.records.lineage import counted, dedupe_by_id
from orchestrator.records.requests import requests_of
from orchestrator.records.run import RunRecords, with_latest_extension


@dataclass
class ParsedLog:
    """A file's raw lines, the records on them, and what is wrong with the lines that hold none, by number.

    ``torn`` is the number of a last line that an interruption cut short, which has a fault too; else None.
    """

    file: Path
    raw: list[bytes] = field(default_factory=list)
    records: dict[int, Event] = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)
    torn: int | None = None

    @classmethod
    def of(cls, file: Path) -> ParsedLog:
        """Return a file, parsed; an absent one has no lines."""
        log = cls(file)
        lines, torn = split_lines(file.read_bytes()) if file.exists() else ([], b"")
        for number, line in enumerate(lines, start=1):
            record = from_line(line)
            if record is None:
                log.faults[number] = damage_of(line)
                continue
            try:
                log.records[number] = parse(file.name, record)
            except NotARecord as error:
                log.faults[number] = str(error)
        log.raw = lines
        if torn:
            log.raw = [*lines, torn.rstrip(b"\n")]
            log.torn = len(log.raw)
            log.faults[log.torn] = damage_of(log.raw[-1])
        if file.name == "trials.jsonl":
            log._set_aside_endings_alone()
        return log

    def _set_aside_endings_alone(self) -> None:
        """Also set aside 'ended' lines whose 'started' line is damaged."""
        started = set()
        for number, line in list(self.records.items()):
            if isinstance(line, TrialStarted):
                started.add(line.trial)
            elif isinstance(line, TrialEnd) and line.trial not in started:
                expected = "the end of a trial that was started before"
                self.faults[number] = explain("trial", expected, line.trial)
                del self.records[number]
        self.faults = dict(sorted(self.faults.items()))


NAMED = 5
"""How many damaged lines of a file are named."""


@dataclass
class _Reader:
    """Reads files of records, and remembers which lines of them it left out."""

    exact: bool
    left_out: dict[Path, list[int]] = field(default_factory=dict)

    def lines(self, file: Path) -> tuple[Any, ...]:
        """Return a file's whole records. Raises RecordError where it is to be exact and a line is damaged."""
        log = ParsedLog.of(file)
        if log.torn is not None:
            warn_of_torn_line(file, log.torn)
            del log.faults[log.torn]
        for number, fault in log.faults.items():
            if self.exact:
                raise RecordError(f"{file}, line {number}: {fault} {way_out(file)}")
            self.left_out.setdefault(file, []).append(number)
        return tuple(log.records.values())

    @property
    def damage(self) -> tuple[str, ...]:
        """Which lines of which files were left out, each file with its lines."""
        return tuple(f"{file.name}, {_numbered(lines)}" for file, lines in self.left_out.items())

    def warn(self) -> None:
        """Warn of what was left out."""
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
    with ``exact``, for callers that go on from the records, they are a RecordError. Raises UnknownNameError where
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
        experiment=with_latest_extension(_read_experiment(folder.experiment_file), events),
        manifest=read_manifest(folder.manifest_file),
        trial_lines=trial_lines,
        epochs=counted(reader.lines(folder.epochs_file), events),
        events=events,
        journal=dedupe_by_id(reader.lines(folder.journal_file)),
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
    # Imported here: a process that only writes records need not load what checks experiments.
    from orchestrator.config.document import read_written

    try:
        return read_written(file)
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
    # Following shared epochs up a circle of branches would never end.
    for trial, parent in parents.items():
        seen = [trial]
        while parent and parent not in seen:
            seen.append(parent)
            parent = parents.get(parent, "")
        if parent:
            expected = "expected branches of trials that were there before"
            raise RecordError(explain(f"{file}, trial {trial}", expected, [*seen, parent]))


@dataclass
class _Place:
    """How far a file has been read: ``offset`` bytes of the file with that ``inode``."""

    file: Path
    offset: int = 0
    inode: int | None = None
    damaged: int = 0

    def read(self) -> Iterator[Event]:
        """Yield what was written since, whole lines alone: a line may be in the middle of being written."""
        content = self._new_content()
        lines = content[: content.rfind(b"\n") + 1].splitlines(keepends=True)
        for number, line in enumerate(lines, start=1):
            event = self._event(line.rstrip(b"\n"))
            if event is None and number == len(lines):
                return  # what an interruption left; the driver that resumes the run cuts it off
            self.offset += len(line)
            if event is not None:
                yield event
            else:
                self.damaged += 1

    def _new_content(self) -> bytes:
        try:
            with self.file.open("rb") as file:
                found = os.fstat(file.fileno())
                if self.inode not in (None, found.st_ino) or found.st_size < self.offset:
                    raise RecordError(
                        f"{self.file}: expected a file that only grows. Received: another one of that name: the run"
                        " was repaired. Look at it again."
                    )
                self.inode = found.st_ino
                file.seek(self.offset)
                return file.read()
        except FileNotFoundError:
            return b""

    def _event(self, line: bytes) -> Event | None:
        record = from_line(line)
        try:
            return None if record is None else parse(self.file.name, record)
        except NotARecord:
            return None


@dataclass
class Follower:
    """Reads on in one run's records. Damaged lines are left out and counted."""

    folder: RunFolder
    _places: tuple[_Place, ...] = field(init=False)

    def __post_init__(self) -> None:
        folder = self.folder
        files = (folder.trials_file, folder.epochs_file, folder.journal_file, folder.events_file)
        self._places = tuple(_Place(file) for file in files)

    def read(self) -> list[Event]:
        """Return the events that were recorded since the last call, at first all of them.

        A trial's end comes after its epochs. Raises RecordError where a file was replaced by another.
        """
        # The trials are read first: of one that ended, every epoch had been written by then.
        trials, epochs, journal, events = (list(place.read()) for place in self._places)
        return [*epochs, *journal, *trials, *events]

    @property
    def damaged(self) -> int:
        """How many damaged lines were left out."""
        return sum(place.damaged for place in self._places)
