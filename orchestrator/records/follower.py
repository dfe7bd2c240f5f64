"""Reading on in a run's records while somebody else writes them: only what is new is read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.errors import RecordError
from orchestrator.records.events import Event, NotARecord, parse
from orchestrator.records.folder import RunFolder
from orchestrator.records.line import from_line


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
                return  # what an interruption left; whoever resumes the run cuts it off
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
