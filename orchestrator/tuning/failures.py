"""Why trials fail, and which failures are worth another try."""

from __future__ import annotations

import errno
import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import RetryOptions
from orchestrator.errors import RecordError, TrialError, encodable, said_by, shortened
from orchestrator.records import DiskFull, FailureKind, lies_below
from orchestrator.redaction import redact

LONGEST_WAIT_SECONDS = 300.0
LONGEST_WHOLE = 200_000
"""Characters that are kept of a traceback."""
TRANSIENT = (ConnectionError, TimeoutError, InterruptedError, BlockingIOError)
_NOT_THERE = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_TRANSIENT_NUMBERS = (errno.EIO, errno.ESTALE, errno.EAGAIN, errno.EBUSY, errno.ENETUNREACH)


@dataclass(frozen=True)
class Failure:
    """What happened to a trial.

    ``message`` is its first line, ``whole`` all that is known. ``transient`` says that the same code may well
    succeed another time; ``bytes_needed`` is what did not fit on a full disk. ``of_run`` says that the run's own folder
    cannot be read or written, which is no fault of the trial's.
    """

    kind: FailureKind
    message: str
    whole: str
    transient: bool = True
    bytes_needed: int = 0
    of_run: bool = False


def from_exception(error: BaseException, home: Path | None = None) -> Failure:
    """Return the failure of a trial whose own code, or whose training, raised; called while it is handled.

    ``home`` is the run's own folder.
    """
    cause = error.__cause__ if isinstance(error, TrialError) and error.__cause__ else error
    whole = bounded(traceback.format_exc())
    full = next((each for each in (error, cause) if isinstance(each, OSError)), None)
    if full is not None and full.errno in (errno.ENOSPC, errno.EDQUOT):
        needed = full.bytes_needed if isinstance(full, DiskFull) else 0
        return Failure("disk", first_line(error), whole, bytes_needed=needed)
    if isinstance(cause, MemoryError) or type(cause).__name__ == "ResourceExhaustedError":
        return Failure("out_of_memory", first_line(error), whole)
    transient = isinstance(cause, TRANSIENT) or (
        isinstance(cause, OSError) and cause.errno in _TRANSIENT_NUMBERS
    )
    missed = cause is not error and isinstance(cause, _NOT_THERE)  # by the user's code, in a state
    of_run = isinstance(error, RecordError) or (
        home is not None and isinstance(cause, OSError) and not missed and lies_below(cause, home)
    )
    return Failure("error", first_line(error), whole, transient=transient, of_run=of_run)


def bounded(whole: str) -> str:
    """Return all that is known of a failure as it is kept: without secrets, encodable, its middle left out if long."""
    return shortened(encodable(redact(whole)), LONGEST_WHOLE)


class Attempts:
    """Counts the tries of each trial in training, those ``before`` included, and says when the next one is."""

    def __init__(
        self, options: RetryOptions, before: Mapping[str, Sequence[Failure]] | None = None
    ) -> None:
        self._times = options.times
        self._wait = options.wait.seconds or 0.0
        self._before = {trial: list(failures) for trial, failures in (before or {}).items()}

    def wait_after(self, trial: str, failure: Failure) -> float | None:
        """Return the seconds until a trial is tried again; None where that would be no use.

        No use are an error that was not transient, or that came twice in the same words, a trial that ran out of its
        time, and more than ``retries.times``.
        """
        before = self._before.setdefault(trial, [])
        again = failure.kind == "error" and any(
            each.message == failure.message for each in before if each.kind == "error"
        )
        before.append(failure)
        if not failure.transient or again or len(before) > self._times:
            return None
        return min(LONGEST_WAIT_SECONDS, self._wait * 2.0 ** (len(before) - 1))

    def made(self, trial: str) -> int:
        """Return how often a trial was begun so far, the first time included."""
        return len(self._before.get(trial, ())) + 1

    def forget(self, trial: str) -> None:
        """Let go of a trial that ended."""
        self._before.pop(trial, None)


def first_line(error: BaseException) -> str:
    """Return an error's kind and first line: those of the user's own, where ours only wraps it."""
    cause = error.__cause__ if isinstance(error, TrialError) and error.__cause__ else error
    said = shortened(redact(said_by(cause)).strip().split("\n")[0])
    kind = type(cause).__name__
    if cause is error:
        return f"{kind}: {said}" if said else kind
    spot = re.search(r" \([^()]+ line \d+, in \w+\)", said_by(error))
    return (f"{kind}: {said}" if said else kind) + (spot.group() if spot else "")
