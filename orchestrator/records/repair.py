"""Setting damaged lines aside, so that what is left of a run's records can be read and gone on from.

Nothing is guessed and nothing thrown away: a damaged line goes to ``<file>.damaged`` with its number and
what is wrong with it. Whoever resumes the run sees from what is left which trials lack epochs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from orchestrator.records.atomic_write import write_atomically
from orchestrator.records.events import TrialEnd, TrialStarted
from orchestrator.records.folder import RunFolder
from orchestrator.records.reader import ParsedLog

_HINT = re.compile(rb'"trial": "([^"]+)", "epoch": ')


@dataclass(frozen=True)
class Repaired:
    """What a repair did: how many lines each file had, and those moved out of it, by number, with the reason."""

    folder: RunFolder
    lines: dict[str, int]
    moved: dict[str, dict[int, str]]


def repair_records(folder: RunFolder) -> Repaired:
    """Move the damaged lines of a run's records aside; the caller holds its lock."""
    trials, rows, *others = (
        ParsedLog.of(file)
        for file in (
            folder.trials_file,
            folder.epochs_file,
            folder.events_file,
            folder.journal_file,
        )
    )
    for trial in _may_be_ahead(trials, rows):
        (folder.checkpoints / f"{trial}.last.npz").unlink(missing_ok=True)
    logs = [trials, rows, *others]
    for log in logs:
        _write(log)
    moved = {s.file.name: s.faults for s in logs if s.faults}
    return Repaired(folder, {s.file.name: len(s.raw) for s in logs}, moved)


def _write(log: ParsedLog) -> None:
    """Move the faulty lines; those in ``.damaged`` are on the disk before the file loses them."""
    if not log.faults:
        return
    file = log.file
    with file.with_name(f"{file.name}.damaged").open("ab") as aside:
        for number, why in log.faults.items():
            aside.write(f"line {number}: {why}\n".encode(errors="replace"))
            aside.write(log.raw[number - 1] + b"\n")
        aside.flush()
        os.fsync(aside.fileno())
    kept = (log.raw[number - 1] + b"\n" for number in log.records)
    write_atomically(file, b"".join(kept))


def _may_be_ahead(trials: ParsedLog, rows: ParsedLog) -> set[str]:
    """Return the trials in flight whose checkpoint may be ahead of their last whole epoch: they begin anew.

    Going on from there would leave a gap that is seen only later.
    """
    of_trials: list[TrialStarted | TrialEnd] = [
        line
        for _, line in sorted(trials.records.items())
        if isinstance(line, TrialStarted | TrialEnd)
    ]
    ended = {
        line.trial
        for line in of_trials
        if isinstance(line, TrialEnd) and line.status != "interrupted"
    }
    told: list[Any] = list(rows.records.values())
    known = {line.trial for line in of_trials} | {str(row["trial"]) for row in told}
    known -= ended
    ahead: set[str] = set()
    for number in rows.faults:
        hint = _HINT.search(rows.raw[number - 1])
        trial = hint[1].decode(errors="replace") if hint else ""
        ahead |= {trial} if trial in known | ended else known
    return ahead & known
