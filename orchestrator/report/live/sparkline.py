"""A learning curve in a few characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(curve: Sequence[float], low: float, high: float, width: int = 16) -> str:
    """Return a curve as blocks between ``low`` and ``high``, ``×`` where it is not finite.

    A curve longer than ``width`` is thinned evenly; its last value is always the last block.
    """
    count = len(curve)
    if count > width:
        curve = [curve[(place + 1) * count // width - 1] for place in range(width)]
    return "".join(_block(value, low, high) for value in curve)


def _block(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return "×"
    if high <= low:
        return BLOCKS[len(BLOCKS) // 2]
    share = (value - low) / (high - low)
    return BLOCKS[min(max(int(share * len(BLOCKS)), 0), len(BLOCKS) - 1)]
