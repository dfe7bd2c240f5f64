"""What a babysat run can be asked, and the outcome of a request."""

from __future__ import annotations

import time
import warnings
from collections.abc import Mapping
from typing import Any

from orchestrator.errors import RecordWarning, RequestError, UnknownNameError, explain
from orchestrator.records import Request, RunFolder, RunRecords, TrialRecord, read_run
from orchestrator.records.line_fields import SAFE_NAME
from orchestrator.redaction import redact
from orchestrator.trials import StateStore


def babysat_trial(records: RunRecords, name: str | None = None) -> TrialRecord:
    """Return a babysat run's trial of that name, or its first one."""
    if records.panda is None:
        raise RequestError(
            f"{records.name}: expected a babysat run (strategy: panda). Received: a caviar, whose trials"
            " are left alone. 'orchestrator promote' makes a panda from one."
        )
    if not records.trials:
        raise RequestError(
            f"{records.name}: expected a model in training. Received: none started yet."
        )
    if name is None:
        return next((trial for trial in records.trials if not trial.is_branch), records.trials[0])
    found = records.trial(name)
    if found is None:
        known = [trial.trial for trial in records.trials]
        expected = "expected a trial or branch of the run"
        raise UnknownNameError(explain(records.name, expected, name, known))
    return found


def finished_days(records: RunRecords, trial: str) -> int:
    """Return how many days a trial's model has lived, those before a branch's fork among them."""
    days = records.of(trial).days
    found = records.trial(trial)
    origin = found.origin if found is not None and found.is_branch else None
    forked = int((origin or {}).get("day") or 0)
    return max(forked, int(days[-1]["day"]) if days else 0)


def check_coming(records: RunRecords, trial: str, day: int | None) -> None:
    """Raise RequestError where a day is over, or beyond the last one."""
    if day is None:
        return
    today = finished_days(records, trial) + 1
    planned = (records.panda or {}).get("days")
    if day < today:
        raise RequestError(
            f"--at-day: expected a day that is not over. Received: {day}, on day {today}."
        )
    if isinstance(planned, int) and day > planned:
        raise RequestError(f"--at-day: expected one of the run's {planned} days. Received: {day}.")


def kept_ends(records: RunRecords, trial: str) -> dict[int, int]:
    """Return the last epoch of each living day whose checkpoint is there; day 0 ends at epoch 0."""
    ends = {0: 0} | {int(day["day"]): int(day["epoch"]) for day in records.of(trial).days}
    found = records.trial(trial)
    if found is not None and found.is_branch and found.origin is not None:
        ends[int(found.origin["day"])] = int(found.origin["epoch"])
    days = StateStore.of(records.folder).days(trial)
    return {d: epoch for d, epoch in ends.items() if days.file(d).is_file()}


def check_kept(records: RunRecords, trial: str, day: int, where: str) -> None:
    """Raise RequestError where no model of that day can be returned to."""
    kept = kept_ends(records, trial)
    if day in kept:
        return
    lived = {0, *(int(found["day"]) for found in records.of(trial).days)}
    gone = {int(found["day"]) for found in records.of(trial).abandoned_days}
    if day in lived:
        reason = "whose model is not kept"
    else:
        reason = "which was abandoned by a rollback" if day in gone else "which has not been"
    known = ", ".join(map(str, sorted(kept))) or "none"
    raise RequestError(
        f"{where}: expected a day whose model is kept. Received: {day}, {reason}. Known: {known}."
    )


def check_branch_name(records: RunRecords, name: str) -> None:
    """Raise RequestError where a name cannot be a trial's, or is taken by a trial or a request."""
    if not SAFE_NAME.fullmatch(name):
        expected = "expected letters, digits, '.', '_' and '-', not starting with '.'"
        raise RequestError(explain("--name", expected, name))
    if redact(name) != name:
        raise RequestError(
            "--name: expected a name without a secret, since files are named after it."
        )
    taken = {trial.trial for trial in records.trials}
    taken |= {str(entry.get("branch")) for entry in records.journal if entry.get("branch")}
    for trial in records.trials:
        asked = (r for r in records.of(trial.trial).unanswered if r.action == "branch")
        taken |= {str(request.arguments.get("name")) for request in asked}
    if name.lower() in {known.lower() for known in taken}:
        known = ", ".join(sorted(taken))
        raise RequestError(
            f"--name: expected a name that no trial of the run has. Received: {name!r}. Known: {known}."
        )


LOOK_AGAIN_SECONDS = 0.25
LOOK_AT_RUN_SECONDS = 2.0
"""How often to check that the run still continues, if its journal has nothing new."""
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
    """Return the answer to a request once it is there, or None after ``seconds`` (None: an epoch).

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
