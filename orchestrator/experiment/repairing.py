"""Repairing a run's records while nobody drives it: damaged lines are set aside, the others are kept.

Nothing is guessed and nothing thrown away: a damaged line goes to ``<file>.damaged`` with its number and
what is wrong with it. Resuming the run then finds, from what is left, which trials lack epochs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.experiment.driving import driving
from orchestrator.records import JsonLines, RunFolder, TrialEnd, TrialStarted, write_atomically
from orchestrator.records.lock.driver import now
from orchestrator.records.reader import ParsedLog, read_events, read_manifest
from orchestrator.trials import StateStore

_HINT = re.compile(rb'"trial": "([^"]+)", "epoch": ')


@dataclass(frozen=True)
class Repaired:
    """What a repair did: how many lines each file had, and those moved out of it, by number, with the reason."""

    folder: RunFolder
    lines: dict[str, int]
    moved: dict[str, dict[int, str]]


def repair_run(run: str | Path, storage: str | Path = "./runs") -> Repaired:
    """Move the damaged lines of a run's records aside; a finished run that lost something is open again.

    Raises UnknownNameError where there is no such run, RunExistsError where it is being driven.
    """
    folder = RunFolder.open(run, storage)
    read_manifest(folder.manifest_file)
    with driving(folder) as driven:
        done = _repair_records(folder)
        if done.moved.keys() - {folder.journal_file.name}:
            _open_again(folder, driven.taken_from)
    return done


def _open_again(folder: RunFolder, dead: dict[str, object] | None) -> None:
    """Let the records say that a run is not over, so that resume trains what is gone and examines the winner."""
    with JsonLines(folder.events_file) as events:
        if dead:
            events.append({"event": "taken_over", "time": now(), "from": dead})
        known = {event["event"] for event in read_events(folder)}
        if known:
            reason = "its records were repaired"
            events.append({"event": "run_interrupted", "time": now(), "reason": reason})


def _repair_records(folder: RunFolder) -> Repaired:
    """Move the damaged lines of a run's records aside; the caller holds its lock."""
    files = (folder.trials_file, folder.epochs_file, folder.events_file, folder.journal_file)
    logs = [ParsedLog.of(file) for file in files]
    # First the states: a repair that is cut off here finds the same damaged lines again.
    states = StateStore.of(folder)
    for trial in _may_be_ahead(*logs[:2]):
        states.forget_last(trial)
    for log in logs:
        _write(log)
    moved = {log.file.name: log.faults for log in logs if log.faults}
    return Repaired(folder, {log.file.name: len(log.raw) for log in logs}, moved)


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
    """Return the trials in flight whose checkpoint may be ahead of their last whole epoch: they begin again.

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
