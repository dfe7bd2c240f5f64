"""What a trial prints, C code and child processes included, goes into a file of the trial's."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.catalog import flush_printed
from orchestrator.redaction import redact
from orchestrator.training.progress import Progress
from orchestrator.training.session import Session

MOST_BYTES = 1_000_000
"""What is kept of one trial's: its beginning."""


class PrintingSession:
    """A trial in training whose output lands in ``file``, made once there is any."""

    def __init__(self, session: Session, file: Path) -> None:
        self._session = session
        self._file = file

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train until the session has something to report."""
        with _printed_to(self._file):
            self._session.advance(progress, seconds)

    def keep(self) -> None:
        """Write the last state down."""
        self._session.keep()


@contextlib.contextmanager
def _printed_to(file: Path) -> Iterator[None]:
    """Append what is printed in the block to a file; output is never worth a trial, so a full disk loses it."""
    flush_printed()
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            caught = stack.enter_context(tempfile.TemporaryFile())
            stack.callback(_append, file, caught.fileno())
            for stream in (1, 2):
                stack.callback(_put_back, stream, os.dup(stream))
                os.dup2(caught.fileno(), stream)
            stack.callback(flush_printed)
        yield


def _put_back(stream: int, copy: int) -> None:
    os.dup2(copy, stream)
    os.close(copy)


def _append(file: Path, caught: int) -> None:
    with contextlib.suppress(OSError):
        room = MOST_BYTES - (file.stat().st_size if file.exists() else 0)
        printed = os.pread(caught, max(room, 0), 0)
        if printed:
            file.parent.mkdir(exist_ok=True)
            with file.open("a", encoding="utf-8") as log:
                log.write(redact(printed.decode("utf-8", errors="replace")))
