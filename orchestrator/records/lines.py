"""Append-only JSON lines: one object a line, each written by a single ``os.write``."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.errors import RecordError, RecordWarning
from orchestrator.records.line import from_line, has_checksum, to_line
from orchestrator.records.whole import DiskFull, is_full


class TornLineWarning(RecordWarning):
    """The last line of a record was cut short by an interruption and is left out."""


class DamagedLineWarning(RecordWarning):
    """Lines of a record are damaged and left out."""


def _may() -> None:
    """Raise nothing: whoever opened the file may write."""


@dataclass(frozen=True)
class Pen:
    """What is asked of a writer's owner.

    ``may_write`` is called before each write, and raises where it must not be. ``on_full`` is called with the bytes
    that do not fit on a full disk, and whenever it returns they are tried again; without it DiskFull is raised.
    """

    may_write: Callable[[], None] = _may
    on_full: Callable[[int], object] | None = None


class JsonLines:
    """A file that only ever grows by whole lines; open for appending until closed.

    ``pen`` is asked before each write, and when the disk is full. The lines stay whole either way. What was
    written is due to be flushed when the last flush is ``flush_after`` seconds ago.
    """

    def __init__(self, path: Path, pen: Pen | None = None, flush_after: float = math.inf) -> None:
        self.path = path
        self._pen = pen or Pen()
        self._flush_after = flush_after
        _cut_torn_tail(path)
        self._descriptor = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666
        )
        self._unflushed: list[bytes] = []
        self._in_doubt = False
        self._note_flushed()

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record as one line; it survives the death of this process from here on."""
        self.extend((record,))

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add several records by one system call."""
        block = b"".join(to_line(record) for record in records)
        if not block:
            return
        self._pen.may_write()
        while not self._fits(block):
            self._wait(len(block))
        self._unflushed.append(block)

    def flush(self) -> None:
        """Have all that was written survive a power cut."""
        while self._unflushed and not self._flushed():
            self._wait(sum(map(len, self._unflushed)))

    def flush_if_due(self) -> None:
        """Flush if the last time is long enough ago."""
        if time.monotonic() - self._flushed_at >= self._flush_after:
            self.flush()

    def close(self) -> None:
        """Flush to the disk and let go of the file; closing twice is harmless."""
        if self._descriptor < 0:
            return
        try:
            self.flush()
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def _wait(self, needed: int) -> None:
        """Have the owner wait for room on the full disk."""
        if self._pen.on_full is None:
            raise DiskFull(self.path, needed)
        self._pen.on_full(needed)

    def _fits(self, block: bytes) -> bool:
        """Write a block whole and return True, or not at all."""
        try:
            written = os.write(self._descriptor, block)
        except OSError as error:
            if not is_full(error):
                raise
            return False
        if written < len(block):  # a full disk takes a part
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
        return written == len(block)

    def _flushed(self) -> bool:
        """Flush and return True; False where the disk is full, which NFS and quotas may tell no sooner."""
        try:
            if self._in_doubt:
                self._write_again()
            os.fsync(self._descriptor)
        except OSError as error:
            if not is_full(error):
                raise
            self._in_doubt = True
            return False
        self._note_flushed()
        return True

    def _write_again(self) -> None:
        """Write what a failed flush may have dropped over itself: flushing again does not bring it back."""
        self._pen.may_write()
        block = b"".join(self._unflushed)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            written = os.pwrite(descriptor, block, self._flushed_bytes)
        finally:
            os.close(descriptor)
        if written < len(block):
            raise DiskFull(self.path, len(block))

    def _note_flushed(self) -> None:
        self._flushed_bytes = os.fstat(self._descriptor).st_size
        self._flushed_at = time.monotonic()
        self._unflushed, self._in_doubt = [], False

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
        warn_of_torn_line(path, len(whole) + 1)
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
        warn_of_torn_line(path, len(whole) + 1)
        os.truncate(path, len(content) - len(torn))


def warn_of_torn_line(path: Path, number: int) -> None:
    """Tell that a line which an interruption cut short is left out."""
    message = f"{path}, line {number}: the last line was cut short and is left out."
    warnings.warn(message, TornLineWarning, stacklevel=4)
