"""Setting damaged lines aside, so that what is left of a run's records can be read and gone on from.

Nothing is guessed and nothing thrown away: a damaged line goes to ``<file>.damaged`` with its number and
what is wrong with it. Whoever resumes the run sees from what is left which trials lack epochs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import RecordError
from orchestrator.records.checking import check_record
from orchestrator.records.folder import RunFolder
from orchestrator.records.line import from_line
from orchestrator.records.lines import damage_of, split_lines
from orchestrator.records.whole import write_atomically

Lines = dict[int, dict[str, Any]]
_HINT = re.compile(rb'"trial": "([^"]+)", "epoch": ')


@dataclass
class Sorting:
    """One record file: its raw lines, the records on the whole ones, and what is wrong with the others."""

    file: Path
    raw: list[bytes] = field(default_factory=list)
    whole: Lines = field(default_factory=dict)
    faults: dict[int, str] = field(default_factory=dict)

    @classmethod
    def of(cls, file: Path) -> Sorting:
        """Return a file's lines, sorted; an absent file has none."""
        sorting = cls(file)
        lines, torn = split_lines(file.read_bytes()) if file.exists() else ([], b"")
        sorting.raw = [*lines, *([torn.rstrip(b"\n")] if torn else [])]
        for number, line in enumerate(sorting.raw, start=1):
            record = from_line(line) if number <= len(lines) else None
            if record is None:
                sorting.faults[number] = damage_of(line)
                continue
            try:
                check_record(file, number, record)
            except RecordError as error:
                sorting.faults[number] = str(error).removeprefix(f"{file}, line {number}: ")
            else:
                sorting.whole[number] = record
        return sorting

    def set_aside(self, numbers: Iterable[int], why: str) -> None:
        """Have whole lines follow the damaged ones."""
        for number in list(numbers):
            del self.whole[number]
            self.faults[number] = why

    def write(self) -> None:
        """Move the faulty lines; those in ``.damaged`` are on the disk before the file loses them."""
        if not self.faults:
            return
        with self.file.with_name(f"{self.file.name}.damaged").open("ab") as aside:
            for number, why in sorted(self.faults.items()):
                aside.write(f"line {number}: {why}\n".encode(errors="replace"))
                aside.write(self.raw[number - 1] + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        kept = (self.raw[number - 1] + b"\n" for number in sorted(self.whole))
        write_atomically(self.file, b"".join(kept))


@dataclass(frozen=True)
class Repaired:
    """What a repair did: how many lines each file had, and those moved out of it, by number, with the reason."""

    folder: RunFolder
    lines: dict[str, int]
    moved: dict[str, dict[int, str]]


def repair_records(folder: RunFolder) -> Repaired:
    """Move the damaged lines of a run's records aside; the caller holds its lock."""
    trials, rows, *others = (
        Sorting.of(file)
        for file in (
            folder.trials_file,
            folder.epochs_file,
            folder.events_file,
            folder.journal_file,
        )
    )
    trials.set_aside(list(_endings_alone(trials)), "the start of its trial is gone")
    for trial in _may_be_ahead(trials, rows):
        (folder.checkpoints / f"{trial}.last.npz").unlink(missing_ok=True)
    sortings = [trials, rows, *others]
    for sorting in sortings:
        sorting.write()
    moved = {s.file.name: dict(sorted(s.faults.items())) for s in sortings if s.faults}
    return Repaired(folder, {s.file.name: len(s.raw) for s in sortings}, moved)


def _endings_alone(trials: Sorting) -> Iterator[int]:
    started = set()
    for number, line in sorted(trials.whole.items()):
        if line["event"] == "started":
            started.add(line["trial"])
        elif line["trial"] not in started:
            yield number


def _may_be_ahead(trials: Sorting, rows: Sorting) -> set[str]:
    """Return the trials in flight whose checkpoint may be ahead of their last whole epoch: they begin anew.

    Going on from there would leave a gap that is seen only later.
    """
    ended = {
        line["trial"]
        for _, line in sorted(trials.whole.items())
        if line["event"] == "ended" and line["status"] != "interrupted"
    }
    known = {str(line["trial"]) for line in (*trials.whole.values(), *rows.whole.values())} - ended
    ahead: set[str] = set()
    for number in rows.faults:
        hint = _HINT.search(rows.raw[number - 1])
        trial = hint[1].decode(errors="replace") if hint else ""
        ahead |= {trial} if trial in known | ended else known
    return ahead & known
