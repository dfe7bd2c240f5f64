"""Append-only JSON lines: one object a line, each written by a single ``os.write``.

JSON has no NaN and no infinities: they are stored as the strings "NaN", "Infinity" and
"-Infinity" and read back as floats, wherever a value may stand.
"""

from __future__ import annotations

import errno
import json
import math
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from orchestrator.errors import RecordError
from orchestrator.redaction import redact, redacted

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class TornLineWarning(UserWarning):
    """The last line of a record was cut short by an interruption and is left out."""


class JsonLines:
    """A file that only ever grows by whole lines; open for appending until closed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        _cut_torn_tail(path)
        self._descriptor = os.open(
            path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666
        )

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one record as one line; it survives the death of this process from here on."""
        self.extend((record,))

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add several records by one system call."""
        block = "".join(_to_line(record) for record in records).encode()
        if not block:
            return
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
    line before it raises RecordError with the file and the line number.
    """
    if not path.exists():
        return []
    whole, torn = _split(path.read_bytes())
    if torn:
        _warn_of_torn_line(path, len(whole) + 1)
    records = []
    for number, line in enumerate(whole, start=1):
        record = _from_line(line)
        if record is None:
            raise RecordError(
                f"{path}, line {number}: expected one JSON object. Received: {line[:60]!r}. "
                "The lines before and after it may be whole: repair or delete this one by hand."
            )
        records.append(record)
    return records


def _split(content: bytes) -> tuple[list[bytes], bytes]:
    """Return the lines of a file and its torn tail, which is empty in a healthy one."""
    *lines, tail = content.split(b"\n")
    if tail:
        return lines, tail
    if lines and _from_line(lines[-1]) is None:
        return lines[:-1], lines[-1] + b"\n"
    return lines, b""


def _cut_torn_tail(path: Path) -> None:
    """Cut off what an interrupted writer left, so that the next line starts on its own."""
    if not path.exists():
        return
    content = path.read_bytes()
    whole, torn = _split(content)
    if torn:
        _warn_of_torn_line(path, len(whole) + 1)
        os.truncate(path, len(content) - len(torn))


def _warn_of_torn_line(path: Path, number: int) -> None:
    message = f"{path}, line {number}: the last line was cut short and is left out."
    warnings.warn(message, TornLineWarning, stacklevel=4)


def _to_line(record: Mapping[str, Any]) -> str:
    plain = as_plain(record)
    line = json.dumps(plain, ensure_ascii=False, allow_nan=False)
    if redact(line) != line:  # a look at the text is cheap, and hardly ever finds anything
        line = json.dumps(redacted(plain), ensure_ascii=False, allow_nan=False)
    return line + "\n"


def _from_line(line: bytes) -> dict[str, Any] | None:
    """Return the record on a line, or None where the line is no whole JSON object."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, thousands of brackets
        return None
    if not isinstance(record, dict):
        return None
    if b'NaN"' in line or b'Infinity"' in line:
        record = {key: revived(value) for key, value in record.items()}
    return record


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
