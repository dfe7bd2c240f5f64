"""Append-only JSON lines: one object a line, each written by a single ``os.write``."""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.errors import RecordError
from orchestrator.records.line import from_line, has_checksum, to_line


class TornLineWarning(UserWarning):
    """The last line of a record was cut short by an interruption and is left out."""


class JsonLines:
    """A file that only ever grows by whole lines; open for appending until closed.

    ``guard`` is called before each write, and raises where it must not be.
    """

    def __init__(self, path: Path, guard: Callable[[], None] = lambda: None) -> None:
        self.path = path
        self._guard = guard
        _cut_torn_tail(path)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record as one line; it survives the death of this process from here on."""
        self.extend((record,))

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add several records by one system call."""
        block = b"".join(to_line(record) for record in records)
        if not block:
            return
        self._guard()
        written = os.write(self._descriptor, block)
        if written < len(block):  # a full disk takes a part: take it back, so that lines stay whole
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def close(self) -> None:
        """Flush to the disk and let go of the file; closing twice is harmless."""
        if self._descriptor < 0:
            return
        os.fsync(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return every record of a file, oldest first; record ``i`` stands on line ``i + 1``.

    An absent file holds no records. A torn last line is dropped with a TornLineWarning; a damaged
    line raises RecordError with the file and the line number.
    """
    if not path.exists():
        return []
    whole, torn = split_lines(path.read_bytes())
    if torn:
        _warn_of_torn_line(path, len(whole) + 1)
    records = []
    for number, line in enumerate(whole, start=1):
        record = from_line(line)
        if record is None:
            raise RecordError(f"{path}, line {number}: {damage_of(line)} {way_out(path)}")
        records.append(record)
    return records


def damage_of(line: bytes) -> str:
    """Return what is wrong with a line that holds no record, as a sentence."""
    expected = "a line that its checksum fits" if has_checksum(line) else "one JSON object"
    return f"expected {expected}. Received: {line[:60]!r}."


def way_out(path: Path) -> str:
    """Return the sentence that says what to do about a damaged line of a run's record."""
    return f"'orchestrator repair {path.parent}' sets the damaged lines aside and keeps the others."


def split_lines(content: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines of a file and its torn tail, which is empty in a healthy one."""
    *lines, tail = content.split(b"\n")
    if tail:
        return lines, tail
    # What an interruption left has no checksum at its end: one that does not fit is damage.
    if lines and not has_checksum(lines[-1]) and from_line(lines[-1]) is None:
        return lines[:-1], lines[-1] + b"\n"
    return lines, b""


def _cut_torn_tail(path: Path) -> None:
    """Cut off what an interrupted writer left, so that the next line starts on its own."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole, torn = split_lines(content)
    if torn:
        _warn_of_torn_line(path, len(whole) + 1)
        os.truncate(path, len(content) - len(torn))


def _warn_of_torn_line(path: Path, number: int) -> None:
    message = f"{path}, line {number}: the last line was cut short and is left out."
    warnings.warn(message, TornLineWarning, stacklevel=4)
