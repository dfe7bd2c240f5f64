"""What a model went through, as values: its metrics after each epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Real
from typing import Any


@dataclass(frozen=True)
class Curve:
    """A trial's ``epochs``, the ``seconds`` trained by their ends, and each metric's values."""

    epochs: tuple[int, ...] = ()
    seconds: tuple[float, ...] = ()
    metrics: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)


def curve_of(rows: Sequence[Mapping[str, Any]]) -> Curve:
    """Return rows of ``epochs.jsonl`` as a curve; a value that is not finite is None."""
    names = dict.fromkeys(name for row in rows for name in row["metrics"])
    seconds, passed = [], 0.0
    for row in rows:
        passed += float(row.get("seconds") or 0.0)
        seconds.append(passed)
    return Curve(
        tuple(int(row["epoch"]) for row in rows),
        tuple(seconds),
        {name: tuple(finite(row["metrics"].get(name)) for row in rows) for name in names},
    )


def finite(value: Any) -> float | None:
    """Return a number as a float; None for what is none, or not finite."""
    if type(value) is float:  # most are: asking an abstract class takes three times as long
        return value if math.isfinite(value) else None
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        return None
    return float(value)
