"""Learning curves drawn with characters: a line of blocks, or a chart with its axes and numbers; no colours."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from orchestrator.report.formatting import number

BLOCKS = "▁▂▃▄▅▆▇█"
NOT_FINITE = "×"
BESIDE = "·"
"""What the second curve of a chart is drawn with, so that the two are told apart without colours."""
BRAILLE = "⠀"
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of a Braille sign's dots: four rows of two. https://www.unicode.org/charts/PDF/U2800.pdf"""
_ROWS, _COLUMNS = 4, 2


def sparkline(curve: Sequence[float], low: float, high: float, width: int = 16) -> str:
    """Return a curve as blocks between ``low`` and ``high``, ``×`` where it is not finite.

    A curve longer than ``width`` is thinned evenly; its last value is always the last block.
    """
    count = len(curve)
    if count > width:
        curve = [curve[(place + 1) * count // width - 1] for place in range(width)]
    return "".join(_block(value, low, high) for value in curve)


def finite_range(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the lowest and the highest finite value of curves, 0 and 0 where there is none."""
    finite = [value for curve in curves for value in curve if math.isfinite(value)]
    return min(finite, default=0.0), max(finite, default=0.0)


def _block(value: float, low: float, high: float) -> str:
    if not math.isfinite(value):
        return NOT_FINITE
    if high <= low:
        return BLOCKS[len(BLOCKS) // 2]
    share = (value - low) / (high - low)
    return BLOCKS[min(max(int(share * len(BLOCKS)), 0), len(BLOCKS) - 1)]


@dataclass(frozen=True)
class Line:
    """A metric over epochs; its values may be NaN."""

    name: str
    epochs: Sequence[int]
    values: Sequence[float]

    def since(self, epoch: int) -> Line:
        """Return the part of it from that epoch on."""
        pairs = [pair for pair in zip(self.epochs, self.values, strict=True) if pair[0] >= epoch]
        return Line(self.name, [at for at, _ in pairs], [value for _, value in pairs])


@dataclass(frozen=True)
class _Frame:
    """Where epochs and values lie on a grid of dots: the first column left, the first row above."""

    epochs: tuple[int, int]
    values: tuple[float, float]
    width: int
    height: int

    def column(self, epoch: int) -> int:
        first, last = self.epochs
        share = (epoch - first) / (last - first) if last > first else 0.0
        return round(share * (self.width * _COLUMNS - 1))

    def row(self, value: float) -> int:
        low, high = self.values
        share = (value - low) / (high - low) if high > low else 0.5
        return round((1 - share) * (self.height * _ROWS - 1))


def chart(
    main: Line, beside: Line, width: int, height: int, marks: Mapping[int, str] | None = None
) -> list[str]:
    """Return two metrics over epochs in so many columns and rows, both axes with their numbers.

    ``main`` is drawn with dots of Braille, ``beside`` with ``·``; where a value is not finite there is a ``×`` on top.
    Below are the epochs, or the ``marks`` of some of them. Empty where neither has an epoch.
    """
    epochs = [*main.epochs, *beside.epochs]
    if not epochs or height < 3:
        return []
    low, high = finite_range([main.values, beside.values])
    labels = {0: number(high), height - 2: number(low)}
    if height >= 6 and high > low:
        middle = (height - 2) // 2
        labels[middle] = number(high + (low - high) * middle / (height - 2))
    margin = max(map(len, labels.values()))
    frame = _Frame((min(epochs), max(epochs)), (low, high), max(width - margin - 2, 4), height - 1)
    rows = _drawn(main, beside, frame)
    lines = [f"{labels.get(at, ''):>{margin}} ┤{row}".rstrip() for at, row in enumerate(rows)]
    return [*lines, " " * (margin + 2) + _ruler(frame, marks)]


def _drawn(main: Line, beside: Line, frame: _Frame) -> list[str]:
    cells = [[" "] * frame.width for _ in range(frame.height)]
    for row, column in _path(beside, frame):
        cells[row // _ROWS][column // _COLUMNS] = BESIDE
    dots: dict[tuple[int, int], int] = {}
    for row, column in _path(main, frame):
        cell = row // _ROWS, column // _COLUMNS
        dots[cell] = dots.get(cell, 0) | _DOTS[row % _ROWS][column % _COLUMNS]
    for (row, column), bits in dots.items():
        cells[row][column] = chr(ord(BRAILLE) + bits)
    for epoch, value in zip(main.epochs, main.values, strict=True):
        if not math.isfinite(value):
            cells[0][frame.column(epoch) // _COLUMNS] = NOT_FINITE
    return ["".join(cell) for cell in cells]


def _path(line: Line, frame: _Frame) -> Iterator[tuple[int, int]]:
    """Yield the dots (row, column) of a curve, those between two neighbouring epochs too."""
    points = [
        (frame.column(epoch), frame.row(value)) if math.isfinite(value) else None
        for epoch, value in zip(line.epochs, line.values, strict=True)
    ]
    yield from ((point[1], point[0]) for point in points if point is not None)
    for one, other in pairwise(points):
        if one is None or other is None:
            continue
        steps = max(abs(other[0] - one[0]), abs(other[1] - one[1]), 1)
        for step in range(1, steps):
            along = [
                round(begin + (end - begin) * step / steps)
                for begin, end in zip(one, other, strict=True)
            ]
            yield along[1], along[0]


def _ruler(frame: _Frame, marks: Mapping[int, str] | None) -> str:
    """Return the line below a chart; a mark that would touch the one before it is left out."""
    first, last = frame.epochs
    if marks is None:
        middle = (first + last) // 2
        marks = {epoch: str(epoch) for epoch in sorted({first, middle, last})}
    ruler = ""
    for epoch, text in sorted(marks.items()):
        end = frame.column(epoch) // _COLUMNS + 1
        begin = min(max(end - len(text), 0), frame.width - len(text))
        if first <= epoch <= last and begin >= len(ruler) + bool(ruler):
            ruler = ruler.ljust(begin) + text
    return ruler
