"""What a field of a recorded line may hold: checked where the line is read, whoever edited it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import PlainValidator
from pydantic_core import PydanticCustomError

_MAPPING = (dict, Mapping)
"""What JSON gives comes first: asking Mapping takes five times as long."""
SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def is_name(value: Any) -> bool:
    """Return whether a value can be a trial's name, and so a file's."""
    return isinstance(value, str) and SAFE_NAME.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    # Up to 2**53 every reader of JSON holds a whole number exactly.
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return True
    # A larger whole number does not fit into a float.
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**1000


def _is_duration(value: Any) -> bool:
    return _is_number(value) and math.isfinite(value)


def _is_moment(value: Any) -> bool:
    try:
        return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def _are_metrics(value: Any) -> bool:
    return isinstance(value, _MAPPING) and all(_is_number(v) or v is None for v in value.values())


def _are_changes(value: Any) -> bool:
    pairs = value.values() if isinstance(value, _MAPPING) else [None]
    return all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs)


def _is_origin(value: Any) -> bool:
    if not isinstance(value, _MAPPING) or not is_name(value.get("trial")):
        return False
    counts = [value.get("day"), value.get("stretch")]
    whole = all(count is None or _is_count(count) for count in counts)
    return whole and _is_count(value.get("epoch")) and isinstance(value.get("run"), str | None)


def _is_reason(value: Any) -> bool:
    return isinstance(value, _MAPPING) and isinstance(value.get("scheduler"), str)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(text, str) for text in value)


def _are_names(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(is_name, value))


def checked(holds: Callable[[Any], bool], expected: str, optional: bool = False) -> Any:
    """Return what has pydantic refuse a value that is not what is ``expected``; an ``optional`` one may be None."""

    def validate(value: Any) -> Any:
        if holds(value) or (optional and value is None):
            return value
        raise PydanticCustomError("expected", "{expected}", {"expected": expected})

    return PlainValidator(validate)


def _both(holds: Callable[[Any], bool], expected: str) -> tuple[Any, Any]:
    return checked(holds, expected), checked(holds, expected, optional=True)


_name, _maybe_name = _both(
    is_name, "a name of letters, digits, '.', '_' and '-', not starting with '.'"
)
_count, _maybe_count = _both(_is_count, "a whole number of at least 0")
a_text, maybe_a_text = _both(lambda value: isinstance(value, str), "a text")
_mapping, _maybe_mapping = _both(lambda value: isinstance(value, _MAPPING), "a mapping")
_metrics, _maybe_metrics = _both(_are_metrics, "numbers by name")
_moment, _maybe_moment = _both(_is_moment, "a time such as 2026-11-05T10:00:00.000+00:00")
_seconds, _maybe_seconds = _both(_is_duration, "a number of seconds")
_changes, _maybe_changes = _both(_are_changes, "[old, new] by name")
_maybe_texts = _both(_are_texts, "a list of texts")[1]
_names = checked(_are_names, "a list of trials' names")
_maybe_origin = _both(_is_origin, "a trial's origin: run, trial, day, epoch")[1]
_maybe_reason = _both(_is_reason, "what stopped the trial: scheduler, epoch, value, cutoff")[1]

Name = Annotated[str, _name]
Count = Annotated[int, _count]
Text = Annotated[str, a_text]
Moment = Annotated[str, _moment]
MaybeMoment = Annotated[str | None, _maybe_moment]
Seconds = Annotated[float, _seconds]
Values = Annotated[Mapping[str, Any], _mapping]
Metrics = Annotated[Mapping[str, float | None], _metrics]
MaybeName = Annotated[str | None, _maybe_name]
MaybeCount = Annotated[int | None, _maybe_count]
MaybeText = Annotated[str | None, maybe_a_text]
MaybeValues = Annotated[Mapping[str, Any] | None, _maybe_mapping]
MaybeMetrics = Annotated[Mapping[str, float | None] | None, _maybe_metrics]
MaybeSeconds = Annotated[float | None, _maybe_seconds]
Origin = Annotated[Mapping[str, Any] | None, _maybe_origin]
StoppedBy = Annotated[Mapping[str, Any] | None, _maybe_reason]
Changes = Annotated[Mapping[str, Any] | None, _maybe_changes]
Texts = Annotated[tuple[str, ...] | None, _maybe_texts]
Names = Annotated[tuple[str, ...], _names]
ChangesMade = Annotated[Mapping[str, Any], _changes]
