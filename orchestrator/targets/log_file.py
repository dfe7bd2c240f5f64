"""A job's log on a filesystem that is seen from here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from orchestrator.errors import PlaceError
from orchestrator.targets.states import JobState

_PIECE = 1 << 16
_SECONDS = 0.5


def read_log(file: Path, follow: bool, state: Callable[[], JobState]) -> Iterator[str]:
    """Yield a log's text; with ``follow``, what is added too, until the job has ended.

    Raises PlaceError where a job that has begun has none.
    """
    position = 0
    while True:
        current = state()
        if file.is_file():
            for piece in _pieces(file, position):
                position += len(piece)
                yield piece.decode("utf-8", "replace")
        elif not follow and current.state != "queued":
            raise PlaceError(f"{file}: expected the job's log. Received: no such file.")
        if not follow or not current.active:
            return
        time.sleep(_SECONDS)


def _pieces(file: Path, position: int) -> Iterator[bytes]:
    with file.open("rb") as log:
        log.seek(position)
        while piece := log.read(_PIECE):
            yield piece
