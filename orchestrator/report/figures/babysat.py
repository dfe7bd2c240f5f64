"""The figures of a babysat model, as of the page: its days with what was done to it, and its branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from orchestrator.report.figures.canvas import (
    LINES,
    MARKERS,
    WIDTH,
    Drawing,
    canvas,
    entitle,
    legend,
    log_scale,
    said,
    score_scale,
)
from orchestrator.report.formatting import number, shown_name
from orchestrator.report.html.charts.chart import BAD, FAINT, SERIES
from orchestrator.report.html.charts.panda import (
    MOST_DAYS,
    at_epoch,
    changed,
    curve_points,
    forked_from,
    steps_of,
    values_in_force,
)
from orchestrator.report.panda_summary import Change, Lineage, PandaSummary


def days(panda: PandaSummary | None, metric: str) -> Drawing | None:
    """Draw the model's curves by day: numbered marks where something was done, and below what was changed."""
    if panda is None or not any(each.curve.epochs for each in panda.lines):
        return None
    below = changed(panda)
    heights = [3.0, *(1.0 for _ in below)]
    with canvas(WIDTH, 3.6 + 1.25 * len(below)) as figure:
        top, *others = figure.subplots(
            len(heights), 1, sharex=True, height_ratios=heights, squeeze=False
        )[:, 0]
        _curves(top, panda, metric)
        for axes, name in zip(others, below, strict=True):
            for place, each in enumerate(panda.lines):
                steps = [step for step in steps_of(each, name) if step[1] is not None]
                x, y = [step[0] for step in steps], [step[1] for step in steps]
                axes.step(x, y, where="pre", **_look(place), markersize=4)
            values = values_in_force(panda, name)
            if min(values) > 0:
                log_scale(axes, "y", max(values) / min(values))
            axes.set_ylabel(said(shown_name(name), 18))
        [top, *others][-1].set_xlabel("epoch")
        top.xaxis.set_major_locator(MaxNLocator(integer=True))
        return entitle(figure, "The model's days")


def _look(place: int) -> dict[str, Any]:
    look: dict[str, Any] = {"color": SERIES[(place + 1) % len(SERIES)]}
    return look | {"linestyle": LINES[place % 3], "marker": MARKERS[place % len(MARKERS)]}


def _curves(axes: Axes, panda: PandaSummary, metric: str) -> None:
    values = []
    training = metric.removeprefix("val_")
    for place, each in enumerate(panda.lines):
        found = [*forked_from(panda, each, metric), *curve_points(each.curve, metric)]
        values += [value for _, value in found if value is not None]
        every = max(1, len(found) // 10)
        axes.plot(
            *_xy(found),
            label=said(each.trial),
            linewidth=2,
            markevery=every,
            markersize=4,
            **_look(place),
        )
        if training != metric and training in each.curve.metrics:
            colour = SERIES[(place + 1) % len(SERIES)]
            axes.plot(
                *_xy(curve_points(each.curve, training)), color=colour, linestyle=(0, (4, 2)), linewidth=0.9,
                alpha=0.7, label=f"{said(each.trial)}, training",
            )  # fmt: skip
        for gone in each.abandoned:
            axes.plot(
                *_xy(_abandoned(each, gone.epochs[0], metric) + curve_points(gone, metric)),
                color=FAINT, linestyle=":", linewidth=1.8, label="rolled back",
            )  # fmt: skip
    for epoch in _day_ends(panda):
        axes.axvline(epoch, color=FAINT, alpha=0.35, linewidth=0.8, zorder=0)
    for said_numbers, x, y in _marks(panda, metric):
        axes.plot([x], [y], "o", color=BAD, markersize=7, zorder=7, label="changes, by number")
        axes.annotate(
            said_numbers, (x, y), xytext=(0, 8), textcoords="offset points", ha="center", fontsize="x-small",
            fontweight="bold", zorder=8,
        )  # fmt: skip
    score_scale(axes, values)
    axes.set_ylabel(said(metric))
    legend(axes)


def _xy(found: list[list[Any]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in found], [float("nan") if y is None else y for _, y in found]


def _abandoned(of: Lineage, first: int, metric: str) -> list[list[Any]]:
    return [point for point in at_epoch(of, first - 1, metric) if point[0] < first]


def _day_ends(panda: PandaSummary) -> list[int]:
    ends = sorted({epoch for each in panda.lines for epoch in each.days})
    return ends if len(ends) <= MOST_DAYS else []


def _marks(panda: PandaSummary, metric: str) -> Iterator[tuple[str, int, float]]:
    """Yield the numbers of what was done after an epoch, and where that is on the curve."""
    at: dict[tuple[str, int], list[tuple[int, Change]]] = {}
    for place, change in enumerate(panda.changes, 1):
        at.setdefault((change.trial, change.epoch), []).append((place, change))
    lines = {each.trial: each for each in panda.lines}
    for (trial, epoch), done in at.items():
        for x, y in at_epoch(lines[trial], epoch, metric):
            if y is not None:
                yield ", ".join(str(place) for place, _ in done), x, y


def tree(panda: PandaSummary | None) -> Drawing | None:
    """Draw which model branched off which, at which epoch, with its best value."""
    if panda is None or len(panda.lines) < 2:
        return None
    rows = {each.trial: row for row, each in enumerate(panda.lines)}
    with canvas(WIDTH, 1.3 + 0.45 * len(rows)) as figure:
        axes = figure.add_subplot()
        for row, each in enumerate(panda.lines):
            begin = each.parent_epoch or 0
            end = each.curve.epochs[-1] if each.curve.epochs else begin
            axes.plot([begin, end], [row, row], markersize=5, linewidth=2, **_look(row))
            if each.parent in rows:
                axes.plot([begin, begin], [rows[each.parent], row], ":", color=FAINT, linewidth=1.5)
            best = "" if each.value is None else f"best {number(each.value)}"
            axes.annotate(
                best, (end, row), xytext=(6, -3), textcoords="offset points", fontsize="small"
            )
        axes.set_yticks(range(len(rows)), [said(each.trial, 24) for each in panda.lines])
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(visible=False, axis="y")
        axes.margins(x=0.12)
        axes.set_xlabel("epoch")
        return entitle(figure, "Branches")
