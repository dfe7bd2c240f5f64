"""One value as the text a person reads: numbers to four digits, nothing that moves a cursor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from orchestrator.redaction import redact

COMPLEMENT = "one_minus_"


def cell(value: Any) -> str:
    """Return a value as one line of text; what is missing (None, NaN) is empty."""
    if value is None or _is_missing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    return number(value) if isinstance(value, float) else printable(str(value))


def number(value: float) -> str:
    """Return a float to four significant digits."""
    return f"{value:.4g}"


def printable(text: str) -> str:
    """Return text on one line, without secrets or the control characters that could drive a terminal."""
    line = " ".join(redact(text).split())
    if line.isprintable():
        return line
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


def clock(seconds: float) -> str:
    """Return a duration as ``26 s``, ``4:05`` (minutes) or ``1:02:03`` (hours)."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def minute(time: str) -> str:
    """Return an ISO time (UTC) to the minute, as ``2026-11-22 08:51Z``."""
    return f"{time[:16].replace('T', ' ')}Z"


def shown_name(hyperparameter: str) -> str:
    """Return the name tables give a hyperparameter: ``one_minus_momentum`` is ``1-momentum``."""
    if hyperparameter.startswith(COMPLEMENT):
        return f"1-{hyperparameter.removeprefix(COMPLEMENT)}"
    return hyperparameter


def folded(name: str) -> tuple[str, str]:
    """Return a header on two lines, cut where both become shortest; a short one on the lower."""
    cuts = [place + 1 for place, sign in enumerate(name) if sign in "_-" and place > 1]
    if len(name) <= 8 or not cuts:
        return "", name
    cut = min(cuts, key=lambda place: max(place, len(name) - place))
    return name[:cut], name[cut:]


def chosen(value: Any) -> str:
    """Return a hyperparameter's value in a sentence, where an empty place would be none."""
    return cell(value) or "none"


def assignments(hyperparameters: Mapping[str, Any]) -> str:
    """Return hyperparameters as ``learning_rate 0.01, momentum 0.95, 1-momentum 0.05``."""
    return ", ".join(
        f"{shown_name(name)} {chosen(value)}" for name, value in hyperparameters.items()
    )


def brief(hyperparameters: Mapping[str, Any]) -> str:
    """Return hyperparameters as ``assignments`` does, without the 1-β that follows from β."""
    names = [name for name in hyperparameters if shown_name(name) == name]
    return assignments({name: hyperparameters[name] for name in names})


def _is_missing(value: Any) -> bool:
    """NaN, NaT and pandas' NA: none of them equals itself, and NA refuses to be asked."""
    if isinstance(value, float):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType")
