"""The figures of what a winner does, by its examination: which classes it takes for which, and its probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.colors import LinearSegmentedColormap

from orchestrator.report.figures.canvas import Drawing, canvas, entitle, legend, said
from orchestrator.report.html.charts.chart import BAD, FAINT, GOOD
from orchestrator.report.html.charts.winner import LABELLED, confusions, parts_of

BLUES = LinearSegmentedColormap.from_list("shares", ("#ffffff", "#56b4e9", "#0072b2"))


def confusion(details: Mapping[str, Any], part: str | None) -> Drawing | None:
    """Draw which classes the winner takes for which: shares of the true class as shades, counts as numbers."""
    found = {name: one for name, one in confusions(details).items() if part in (None, name)}
    if not found:
        return None
    rows, one = next(iter(found.items()))
    names, matrix = [said(each["class"], 16) for each in one["classes"]], one["confusion"]
    shares = [[count / (sum(row) or 1) for count in row] for row in matrix]
    size = 2.2 + 0.34 * len(names)
    with canvas(size + 0.9, size) as figure:
        axes = figure.add_subplot()
        drawn = axes.imshow(shares, cmap=BLUES, vmin=0, vmax=1)
        axes.grid(visible=False)
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > 3 else 0)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="predicted", ylabel="true")
        for y, row in enumerate(matrix if len(names) <= LABELLED else ()):
            for x, count in enumerate(row):
                colour = "white" if shares[y][x] > 0.7 else "black"
                text = f"{count:g}" if count else ""
                axes.text(x, y, text, ha="center", va="center", fontsize="small", color=colour)
        figure.colorbar(drawn, label="share of the true class", shrink=0.8)
        return entitle(figure, f"Confusion, {rows} rows")


def calibration(details: Mapping[str, Any], part: str | None) -> Drawing | None:
    """Draw how often the winner was right, by how sure it was; larger marks stand for more rows."""
    found = {name: one for name, one in parts_of(details, "calibration") if part in (None, name)}
    if not found:
        return None
    rows, one = next(iter(found.items()))
    with canvas(5.0, 4.4) as figure:
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], "--", color=FAINT, label="as sure as right")
        after = one.get("calibrated")
        for name, bins, colour, marker in (
            ("as trained", one["reliability"], GOOD, "o"),
            ("with temperature", after["reliability"] if after else [], BAD, "^"),
        ):
            if not bins:
                continue
            x, y = [each["confidence"] for each in bins], [each["frequency"] for each in bins]
            most = max(each["rows"] for each in bins)
            axes.plot(x, y, color=colour, linewidth=1, alpha=0.5)
            sizes = [15 + 110 * each["rows"] / most for each in bins]
            axes.scatter(x, y, s=sizes, color=colour, marker=marker, label=name, alpha=0.85)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        axes.set(xlabel="probability given", ylabel="share that came true")
        legend(axes, ncols=2)
        return entitle(figure, f"Calibration, {rows} rows")
