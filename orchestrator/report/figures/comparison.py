"""The figures of several runs, as of the page: their best curves over each other, and by how much one leads."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.report.comparison import Comparison
from orchestrator.report.figures.canvas import (
    LINES,
    MARKERS,
    WIDTH,
    Drawing,
    canvas,
    entitle,
    faint,
    legend,
    said,
    score_scale,
)
from orchestrator.report.html.charts.chart import GOOD, SERIES
from orchestrator.report.html.charts.comparison import margins
from orchestrator.report.run_summary import RunSummary


def best_curves(runs: Sequence[RunSummary], metric: str) -> Drawing | None:
    """Draw the curve of the best trial of each run."""
    with canvas() as figure:
        axes = figure.add_subplot()
        values: list[float] = []
        for place, run in enumerate(runs):
            curve = run.best.curve if run.best else None
            if curve is None or metric not in curve.metrics:
                continue
            shown = [float("nan") if v is None else v for v in curve.metrics[metric]]
            values += [v for v in curve.metrics[metric] if v is not None]
            axes.plot(
                curve.epochs, shown, label=said(run.name), color=SERIES[place % len(SERIES)], linewidth=2,
                linestyle=LINES[place % 3], marker=MARKERS[place % len(MARKERS)], markersize=4,
                markevery=max(1, len(shown) // 12),
            )  # fmt: skip
        score_scale(axes, values)
        axes.set(xlabel="epoch", ylabel=said(metric))
        legend(axes)
        return entitle(figure, "The best curves") if values else None


def behind(found: Comparison) -> Drawing | None:
    """Draw by how much each run is behind the leader, with two standard errors either way."""
    rows = margins(found)
    if not rows:
        return None
    with canvas(WIDTH, 1.3 + 0.4 * len(rows)) as figure:
        axes = figure.add_subplot()
        faint(axes, 0)
        for place, (_, value, low, high) in enumerate(rows):
            off = [[value - low], [high - value]]
            axes.errorbar(value, place, xerr=off, fmt="D", color=GOOD, capsize=5, linewidth=2)
        axes.set_yticks(range(len(rows)), [said(name, 32) for name, *_ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.set_xlabel("behind the leader, with two standard errors")
        return entitle(figure, "Margins")
