"""Whether a line of a record is what a writer of ours would have written: anyone can edit a text file.

Names become file names and keys, so that ``../../x`` for a trial could otherwise reach out of the
run's folder; numbers are compared, times are subtracted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from orchestrator.domains.invalid import shown
from orchestrator.errors import explain
from orchestrator.records.folder import SAFE_NAME
from orchestrator.records.journal import KINDS, REQUIRED

_REQUIRED = {
    "trials.jsonl": ("event", "trial"),
    "epochs.jsonl": ("trial", "epoch", "metrics", "seconds"),
    "events.jsonl": ("event", "time"),
    "journal.jsonl": REQUIRED,
}
_OF_A_KIND: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "trials.jsonl": {
        "started": ("index", "seed", "hyperparameters", "time"),
        "ended": ("status", "time"),
    },
    "events.jsonl": {"winner": ("trial", "epoch")},
    "journal.jsonl": {"day": ("metrics",), "applied": ("action",)},
}
"""What a line needs besides, by its event or kind."""


def fault_of(file: str, record: Mapping[str, Any]) -> str | None:
    """Return which field of a record is missing or not what its name says, as a sentence; None where all is well.

    ``file`` is the name of the file that it stands in.
    """
    required, kinds = _REQUIRED[file], _OF_A_KIND.get(file, {})
    kind = record.get(required[0])
    needed = (*required, *kinds.get(str(kind), ()))
    for name in needed:
        if name not in record:
            return explain("fields", f"the field {name!r}", shown(sorted(record)))
    for name, value in record.items():
        if name in _CHECKS and not (value is None and name not in needed):
            holds, expected = _CHECKS[name]
            if not holds(value):
                return explain(name, f"expected {expected}", shown(value))
    if file == "trials.jsonl" and kind not in kinds:
        return explain("event", "an event", kind, kinds)
    return None


def is_name(value: Any) -> bool:
    """Return whether a value can be a trial's name, and so a file's."""
    return isinstance(value, str) and SAFE_NAME.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000


def _is_duration(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_mapping(value: Any) -> bool:
    return isinstance(value, Mapping)


def _are_metrics(value: Any) -> bool:
    return isinstance(value, Mapping) and all(_is_number(v) or v is None for v in value.values())


def _are_changes(value: Any) -> bool:
    pairs = value.values() if isinstance(value, Mapping) else [None]
    return all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs)


def _is_origin(value: Any) -> bool:
    if not isinstance(value, Mapping) or not is_name(value.get("trial")):
        return False
    counts = [value.get("day"), value.get("stretch")]
    whole = all(count is None or _is_count(count) for count in counts)
    return whole and _is_count(value.get("epoch")) and isinstance(value.get("run"), str | None)


def _is_reason(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("scheduler"), str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


_NAME = (is_name, "a name of letters, digits, '.', '_' and '-', not starting with '.'")
_COUNT = (_is_count, "a whole number of at least 0")
_TEXT = (_is_text, "a text")
_MAPPING = (_is_mapping, "a mapping")
_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("trial", "branch"), _NAME),
    **dict.fromkeys(
        (
            "epoch",
            "day",
            "index",
            "seed",
            "stretch",
            "to_day",
            "to_epoch",
            "attempts",
            "group",
            "epochs_before",
        ),
        _COUNT,
    ),
    **dict.fromkeys(
        (
            "event",
            "status",
            "action",
            "id",
            "request",
            "error",
            "error_file",
            "by",
            "who",
            "why",
            "reason",
            "failure",
        ),
        _TEXT,
    ),
    **dict.fromkeys(("hyperparameters", "arguments", "evidence", "now"), _MAPPING),
    **dict.fromkeys(("forced", "going_on"), (_are_texts, "a list of texts")),
    **dict.fromkeys(
        (
            "metrics",
            "validation",
            "validation_before_recalibration",
            "validation_after_recalibration",
            "test",
            "test_before_recalibration",
            "test_after_recalibration",
        ),
        (_are_metrics, "numbers by name"),
    ),
    "time": (_is_moment, "a time such as 2026-11-05T10:00:00.000+00:00"),
    "seconds": (_is_duration, "a number of seconds"),
    "changes": (_are_changes, "[old, new] by name"),
    "origin": (_is_origin, "a trial's origin: run, trial, day, epoch"),
    "stopped_by": (_is_reason, "what stopped the trial: scheduler, epoch, value, cutoff"),
    "kind": (KINDS.__contains__, f"one of {', '.join(KINDS)}"),
}
