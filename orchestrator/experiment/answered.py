"""What becomes of a request: the trainer answers between two epochs, so it is known after one at the latest."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import RecordWarning, RequestError
from orchestrator.experiment.askable import finished_days
from orchestrator.records import Request, RunFolder, RunRecords, read_run
from orchestrator.redaction import redact

LOOK_AGAIN_SECONDS = 0.25
LOOK_AT_RUN_SECONDS = 2.0
"""How often it is looked at whether the run still goes on, where its journal says nothing new."""
ON_THE_WAY_SECONDS = 4.0
"""From the worker, which tells about once a second, through the driver to the journal."""
FIRST_EPOCH_SECONDS = 30.0
"""Before the first epoch nobody knows how long one takes."""
LONGEST_SECONDS = 600.0


def answer_to(records: RunRecords, request: Request) -> Mapping[str, Any] | None:
    """Return the journal's entry that says what became of a request: applied or refused; None where there is none."""
    for entry in records.of(request.trial).journal:
        if entry["kind"] in ("applied", "refused") and entry.get("request") == request.id:
            return entry
    return None


def due_seconds(records: RunRecords, request: Request) -> float:
    """Return how long an answer may take: an epoch as they were, ten minutes at most; 0 where none comes for now.

    None does of a run that nobody drives, nor for a day that has yet to begin.
    """
    later = request.at_day is not None and request.action != "branch"
    if later and int(request.at_day or 0) > finished_days(records, request.trial) + 1:
        return 0.0
    if records.status not in ("running", "paused"):
        return 0.0
    recent = [float(row.get("seconds") or 0.0) for row in records.of(request.trial).epochs[-5:]]
    epoch = 1.5 * max(recent) if recent else FIRST_EPOCH_SECONDS
    return min(epoch, LONGEST_SECONDS) + ON_THE_WAY_SECONDS


def wait_for_answer(
    folder: RunFolder, request: Request, seconds: float | None = None
) -> Mapping[str, Any] | None:
    """Return the answer to a request once it is there, None after so long (None: as long as an epoch takes).

    Raises RequestError where it was refused, or the run ended before.
    """
    end = time.monotonic() + (_due(folder, request) if seconds is None else seconds)
    seen, looked = -1, -LOOK_AT_RUN_SECONDS
    while True:
        size, now = _size(folder), time.monotonic()
        if size != seen or now - looked >= LOOK_AT_RUN_SECONDS:
            seen, looked = size, now
            found = _look(folder, request)
            if found is not None:
                return found
        if now >= end:
            return None
        time.sleep(LOOK_AGAIN_SECONDS)


def _look(folder: RunFolder, request: Request) -> Mapping[str, Any] | None:
    records = _read(folder)
    found = answer_to(records, request)
    if found is not None and found["kind"] == "refused":
        raise RequestError(redact(f"refused: {found.get('reason') or 'no reason was given'}"))
    if found is None and records.status == "finished":
        raise RequestError(f"{records.name}: the run ended before this could be done.")
    return found


def _due(folder: RunFolder, request: Request) -> float:
    return due_seconds(_read(folder), request)


def _read(folder: RunFolder) -> RunRecords:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordWarning)  # a line that is just being written
        return read_run(folder.path)


def _size(folder: RunFolder) -> int:
    try:
        return folder.journal_file.stat().st_size
    except OSError:
        return 0
