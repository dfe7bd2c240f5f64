"""What a trial prints on a worker, by C code and child processes too, goes into a file of the trial's."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from orchestrator.catalog import flush_printed
from orchestrator.redaction import redact

MOST_BYTES = 1_000_000
"""What is kept of one trial's: its beginning."""


@contextlib.contextmanager
def printed_to(file: Path) -> Iterator[None]:
    """Append what is printed in the block to a file, made once there is any; a full disk loses it, never the trial."""
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
