"""Setting damaged lines aside, so that what is left of a run's records can be read and gone on from.

Nothing is guessed and nothing thrown away: a damaged line goes to ``<file>.damaged`` with its number and
what is wrong with it. A caviar's trial that lost an epoch, and trained on or to its end, trains once more from
its start, to the same numbers; of these, only what is gone is recorded. One that the scheduler stopped
stays stopped, and a babysat one, whose past hangs on what was asked of it, keeps the gap.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.errors import RecordError
from orchestrator.records.folder import RunFolder
from orchestrator.records.line import from_line
from orchestrator.records.lines import damage_of, split_lines
from orchestrator.records.sense import check_record
from orchestrator.records.whole import write_atomically

Lines = dict[int, dict[str, Any]]
_HINT = re.compile(rb'"trial": "([^"]+)", "epoch": (\d+)')


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
    """What a repair did: the lines moved, by file and number, and the trials to be trained again from the start."""

    folder: RunFolder
    lines: dict[str, int]
    moved: dict[str, dict[int, str]]
    again: tuple[str, ...] = ()


def plan_repair(folder: RunFolder, babysat: bool, epochs: int) -> tuple[list[Sorting], list[str]]:
    """Return the record files sorted, and the trials to train again; nothing is written.

    ``epochs`` is how many a trial trains for at most.
    """
    files = (folder.trials_file, folder.epochs_file, folder.events_file, folder.journal_file)
    trials, rows, *others = (Sorting.of(file) for file in files)
    alone = list(_endings_alone(trials))
    again = {str(trials.whole[number]["trial"]) for number in alone}
    trials.set_aside(alone, "the start of its trial is gone")
    if rows.faults and not babysat:
        again |= _with_a_gap(trials, rows, epochs)
        ends = [n for n, line in trials.whole.items() if line["event"] == "ended"]
        theirs = [n for n in ends if trials.whole[n]["trial"] in again]
        trials.set_aside(theirs, "its trial lost an epoch and is trained again")
    return [trials, rows, *others], sorted(again)


def repaired(folder: RunFolder, sortings: list[Sorting], again: list[str]) -> Repaired:
    """Move what is faulty away; trials that are trained again begin anew, not from where they were."""
    for sorting in sortings:
        sorting.write()
    for trial in again:
        (folder.checkpoints / f"{trial}.last.npz").unlink(missing_ok=True)
    return Repaired(
        folder,
        {s.file.name: len(s.raw) for s in sortings},
        {s.file.name: dict(sorted(s.faults.items())) for s in sortings if s.faults},
        tuple(again),
    )


def _endings_alone(trials: Sorting) -> Iterator[int]:
    started = set()
    for number, line in sorted(trials.whole.items()):
        if line["event"] == "started":
            started.add(line["trial"])
        elif line["trial"] not in started:
            yield number


def _with_a_gap(trials: Sorting, rows: Sorting, epochs: int) -> set[str]:
    """Return the trials that lost an epoch, and where it is not known which did, those that may have."""
    first, ends = _first_and_end(trials)
    had: dict[str, set[int]] = {trial: set() for trial in first}
    for row in rows.whole.values():
        had.setdefault(row["trial"], set()).add(int(row["epoch"]))
    may_train = {name for name in first if ends.get(name, "finished") == "finished"}
    gaps = {name for name in may_train if _has_gap(had[name], first[name])}
    for number in rows.faults:
        hint = _HINT.search(rows.raw[number - 1])
        trial, epoch = (hint[1].decode(errors="replace"), int(hint[2])) if hint else ("", 0)
        if trial in first and epoch not in had[trial] and epoch <= epochs:
            gaps.add(trial)
        else:  # it may have been the latest epoch of one in flight, or the last of one that finished
            gaps |= {
                name for name in may_train if name not in ends or max(had[name], default=0) < epochs
            }
    return gaps & may_train


def _has_gap(seen: set[int], first: int) -> bool:
    return bool(seen) and len(seen) < max(seen) - first + 1


def _first_and_end(trials: Sorting) -> tuple[dict[str, int], dict[str, str]]:
    """Return each trial's first own epoch, and how those ended that did."""
    first: dict[str, int] = {}
    ends: dict[str, str] = {}
    for _, line in sorted(trials.whole.items()):
        if line["event"] == "started":
            first[line["trial"]] = int((line.get("origin") or {}).get("epoch") or 0) + 1
            ends.pop(line["trial"], None)
        elif line["status"] != "interrupted":
            ends[line["trial"]] = line["status"]
    return first, ends
