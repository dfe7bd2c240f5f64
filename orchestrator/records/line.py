"""One line of a record: JSON that ends in a checksum of what stands before it.

``{"event": "winner", "crc32": "1c291ca3"}``: the checksum covers the bytes before ``, "crc32"``. A line
without one, of an older run or repaired by hand, is read as it stands. JSON has no NaN and no
infinities: they are stored as the strings "NaN", "Infinity" and "-Infinity" and read back as
floats, wherever a value may stand.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Mapping
from typing import Any

from orchestrator.redaction import redact, redacted

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_KEY = b', "crc32": "'
_CLOSE = b'"}'
_TAIL = len(_KEY) + 8 + len(_CLOSE)
_SIGNS_DAMAGED = 3
"""How many of the fourteen signs around a checksum may be damaged, and it still is taken for one."""


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
        record = json.loads(line)
    except (ValueError, RecursionError):  # bad JSON and bad UTF-8 alike
        return None
    if not isinstance(record, dict):
        return None
    if b'NaN"' in line or b'Infinity"' in line:
        record = {key: revived(value) for key, value in record.items()}
    return record


def has_checksum(line: bytes) -> bool:
    """Return whether a line ends as one with a checksum does, if need be with a sign or two damaged."""
    tail = line[-_TAIL:]
    if len(tail) < _TAIL:
        return False
    around = zip(_KEY + _CLOSE, tail[: len(_KEY)] + tail[-len(_CLOSE) :], strict=True)
    return sum(sign != found for sign, found in around) <= _SIGNS_DAMAGED


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
