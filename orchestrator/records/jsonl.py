"""JSON lines: one object a line, each with a checksum and written by a single ``os.write``; a file only grows.

``{"event": "winner", "crc32": "1c291ca3"}``: the checksum covers the bytes before ``, "crc32"``. A line
without one, of an older run or repaired by hand, is read as it stands. JSON has no NaN and no
infinities: they are stored as the strings "NaN", "Infinity" and "-Infinity" and read back as
floats, wherever a value may stand.
"""

from __future__ import annotations

import json
import math
import os
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.errors import RecordError, RecordWarning
from orchestrator.records.atomic_write import DiskFull, is_full
from orchestrator.redaction import redact, redacted

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_KEY = b', "crc32": "'
_CLOSE = b'"}'
_TAIL = len(_KEY) + 8 + len(_CLOSE)
_DAMAGED_AT_MOST = 3
"""How many of the 14 characters around a checksum may be damaged before it is no longer recognized as one."""


def to_line(record: Mapping[str, Any]) -> bytes:
    """Return a record as one line with its checksum, its line end included."""
    plain = as_plain(record)
    text = json.dumps(plain, ensure_ascii=False, allow_nan=False)
    if redact(text) != text:  # a look at the text is cheap, and hardly ever finds anything
        text = json.dumps(redacted(plain), ensure_ascii=False, allow_nan=False)
    # A lone surrogate (a file name that is no UTF-8) becomes the escape that JSON has for it.
    body = text[:-1].encode(errors="backslashreplace")
    return body + _KEY + _checksum(body) + _CLOSE + b"\n" if record else b"{}\n"


def from_line(line: bytes) -> dict[str, Any] | None:
    """Return the record on a line, its checksum taken off; None where the line is not whole."""
    if has_checksum(line):
        body, checksum = line[:-_TAIL], line[-_TAIL:][len(_KEY) : -len(_CLOSE)]
        if _checksum(body) != checksum:
            return None
        line = body + b"}"
    try:
        # Of bytes json would look first which encoding they are in, for a tenth of the time.
        record = json.loads(line.decode(errors="surrogatepass") if line[:2] == b'{"' else line)
    except (ValueError, RecursionError):  # bad JSON and bad UTF-8 alike
        return None
    if not isinstance(record, dict):
        return None
    # A look at the bytes is cheap; reviving walks through every value.
    if b'NaN"' in line or b'Infinity"' in line:
        record = {key: revived(value) for key, value in record.items()}
    return record


def has_checksum(line: bytes) -> bool:
    """Return whether a line ends in a checksum, a few of whose surrounding characters may be damaged."""
    tail = line[-_TAIL:]
    if len(tail) < _TAIL:
        return False
    if tail.startswith(_KEY) and tail.endswith(_CLOSE):
        return True
    around = zip(_KEY + _CLOSE, tail[: len(_KEY)] + tail[-len(_CLOSE) :], strict=True)
    return sum(expected != found for expected, found in around) <= _DAMAGED_AT_MOST


def _checksum(body: bytes) -> bytes:
    return f"{zlib.crc32(body):08x}".encode()


def as_plain(value: Any) -> Any:
    """Return a value that JSON can hold: NumPy's scalars and arrays become Python's."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else _spelled(value)
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return as_plain(value.tolist())
    return value if not hasattr(value, "__fspath__") else os.fspath(value)


def _spelled(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def revived(value: Any) -> Any:
    """Return a value read from JSON, its spelled-out NaN and infinities floats again."""
    if isinstance(value, str):
        return _NON_FINITE.get(value, value)
    if isinstance(value, dict):
        return {key: revived(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revived(item) for item in value]
    return value


class TornLineWarning(RecordWarning):
    """The last line of a record was cut short by an interruption and is left out."""


class DamagedLineWarning(RecordWarning):
    """Lines of a record are damaged and left out."""


def _may() -> None:
    """Raise nothing: any opener of the file may write."""


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
        # Else the first line of this writer would be one with what a kill left of the last.
        _cut_torn_tail(path)
        # O_NOFOLLOW: a link put in the file's place must not send the lines elsewhere.
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
        # Asked each time: a driver that slept while another took the run over must not add a line.
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
        """Flush and return True; False where the disk is full, which NFS and quotas may report only now."""
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
    return (
        f"'orchestrator repair {path.parent}' moves the damaged lines aside and keeps the others."
    )


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
