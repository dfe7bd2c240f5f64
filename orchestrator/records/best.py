"""The one rule for the best of a trial: its best finite epoch, the first one on ties."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, Literal

Mode = Literal["max", "min"]


def is_better(value: float, incumbent: float | None, mode: Mode) -> bool:
    """Return whether a finite ``value`` beats ``incumbent`` (None: nothing to beat yet)."""
    if not math.isfinite(value):
        return False
    if incumbent is None:
        return True
    return value > incumbent if mode == "max" else value < incumbent


def best_epoch(
    epochs: Iterable[Mapping[str, Any]], metric: str, mode: Mode
) -> tuple[int, float] | None:
    """Return (epoch, value) of the best finite ``metric``, or None where there is none.

    ``epochs`` are rows of ``epochs.jsonl``, in order; missing and non-finite values do not count.
    """
    best: tuple[int, float] | None = None
    for row in epochs:
        value = row["metrics"].get(metric)
        if not isinstance(value, Real):
            continue
        if is_better(float(value), None if best is None else best[1], mode):
            best = (int(row["epoch"]), float(value))
    return best
