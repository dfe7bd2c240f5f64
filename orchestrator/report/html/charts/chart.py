"""What a figure of the page is: an option of Apache ECharts as plain JSON, a sentence, and the same as a table.

https://echarts.apache.org/en/option.html says what an option may have. No option holds a function or HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Option = dict[str, Any]

FAINT = "#8c929c"
GOOD, BAD = "#0072b2", "#d55e00"
SERIES = ("#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours, which people who see few colours tell apart; without the two that white or black hides."""
RAMP = ("#56b4e9", "#8a9bb5", "#b08a8a", "#d55e00")
SYMBOLS = ("circle", "rect", "triangle", "diamond", "roundRect", "arrow")
DASHES = ("solid", "dashed", "dotted")

WIDE = 50.0
"""Values of which the largest is so many times the smallest are drawn on a log scale."""


@dataclass(frozen=True)
class Table:
    """Rows of values under the names of their columns."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Chart:
    """A figure: what it ``says`` in a sentence, how it is drawn, and its numbers.

    ``switches`` are further ways to draw it: the label of each, and what of the option it replaces. ``table`` is None
    where the numbers are those of the table of trials.
    """

    id: str
    title: str
    says: str
    option: Option
    table: Table | None = None
    switches: Mapping[str, Option] = field(default_factory=dict)
    height: int = 380


def option(**parts: Any) -> Option:
    """Return an option with what all figures have in common."""
    common: Option = {
        "animation": False,
        # As text of the drawing, never as HTML: what users typed is shown in it.
        "tooltip": {"renderMode": "richText", "confine": True},
        "aria": {"enabled": True, "label": {"enabled": False}, "decal": {"show": True}},
        "grid": {"left": 8, "right": 20, "top": 40, "bottom": 8},
    }
    return common | parts


def axis(name: str, kind: str = "value", **more: Any) -> Option:
    """Return an axis with its name in the middle, and as much of it as there are values."""
    named = {"type": kind, "name": name, "nameLocation": "middle", "nameGap": 30}
    return named | ({} if kind == "category" else {"scale": True}) | more


def score_axis(metric: str, values: Sequence[float], **more: Any) -> Option:
    """Return the metric's axis, on a log scale where its values are wide apart."""
    is_wide = len(values) > 1 and min(values) > 0 and max(values) > WIDE * min(values)
    return axis(metric, "log" if is_wide else "value", **more)


def line(name: str, data: Sequence[Any], **more: Any) -> Option:
    """Return a line without symbols."""
    return {"type": "line", "name": name, "data": list(data), "showSymbol": False} | more


def thinned(values: Sequence[float | None], most: int, keep: Sequence[int] = ()) -> list[int]:
    """Return the places of at most about ``most`` values that keep the look of a curve, and those to ``keep``.

    Of each of as many equal parts the one that spans the largest triangle with its neighbours is kept. Source:
    Steinarsson, "Downsampling Time Series for Visual Representation", University of Iceland 2013 (LTTB).
    """
    count = len(values)
    if count <= max(most, 2):
        return list(range(count))
    known = [0.0 if value is None else value for value in values]
    kept = [0]
    width = (count - 2) / (most - 2)
    for part in range(most - 2):
        first, end = 1 + int(part * width), 1 + int((part + 1) * width)
        after = range(end, min(count, 1 + int((part + 2) * width)) if part < most - 3 else count)
        x, y = sum(after) / len(after), sum(known[i] for i in after) / len(after)
        left = kept[-1]
        areas = {
            i: abs((left - x) * (known[i] - known[left]) - (left - i) * (y - known[left]))
            for i in range(first, end)
        }
        kept.append(max(areas, key=areas.__getitem__))
    return sorted({*kept, *keep, count - 1})
