"""The figures of a caviar's trials, as of the page: their curves, and where they lay in the space."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from orchestrator.report.axes import Axis
from orchestrator.report.figures.canvas import (
    COLOURS,
    HEIGHT,
    LINES,
    MARKERS,
    WIDTH,
    Drawing,
    canvas,
    entitle,
    faint,
    legend,
    log_scale,
    said,
    score_scale,
)
from orchestrator.report.html.charts.chart import BAD, FAINT, SERIES
from orchestrator.report.html.charts.space import (
    best_others_gone,
    colour_range,
    diagonal,
    most_points,
    plane_axes,
    points,
    scored_trials,
)
from orchestrator.report.run_summary import RunSummary, TrialSummary

INCHES_AN_AXIS = 1.15
WIDEST = 24.0


def curves(run: RunSummary, x: str, log: bool) -> Drawing | None:
    """Draw each trial's curve: the best ones with markers, the others faint, the rungs as lines."""
    drawn = [trial for trial in run.trials if trial.curve.epochs]
    if not drawn:
        return None
    best, others, gone = best_others_gone(drawn)
    along = 2 if x == "seconds" else 0
    most = most_points(run)
    values = [v for t in drawn for v in t.curve.metrics.get(run.metric, ()) if v is not None]
    with canvas() as figure:
        axes = figure.add_subplot()
        _together(axes, others, run, along, label="others", color=FAINT, alpha=0.45, linewidth=0.8)
        _together(
            axes, gone, run, along, label="failed or older", color=BAD, linestyle=":", linewidth=1
        )
        for place, trial in enumerate(best):
            _highlighted(axes, points(trial, run.metric, most), place, along, said(trial.trial))
        for rung in run.rungs if along == 0 else ():
            faint(axes, rung.epoch, f"rung {rung.epoch}")
        score_scale(axes, values)
        if log:
            every = [point[along] for trial in drawn for point in points(trial, run.metric, most)]
            log_scale(axes, "x", max(every) / min(every))
        elif along == 0:
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("seconds of training" if along else "epoch")
        axes.set_ylabel(said(run.metric))
        legend(axes)
        return entitle(figure, "Learning curves")


def _highlighted(axes: Axes, found: Sequence[Any], place: int, along: int, name: str) -> None:
    axes.plot(
        [point[along] for point in found],
        [_number(point[1]) for point in found],
        label=name,
        color=SERIES[place],
        marker=MARKERS[place],
        markevery=max(1, len(found) // 12),
        markersize=5,
        linestyle=LINES[place % 3],
        linewidth=2,
        zorder=5,
    )


def _together(
    axes: Axes, trials: Sequence[TrialSummary], run: RunSummary, along: int, **look: Any
) -> None:
    """Draw many curves as one line with gaps; those of one epoch are dots."""
    most = most_points(run)
    found = [points(trial, run.metric, most) for trial in trials]
    gap = [float("nan")] * 3
    several = [point for each in found if len(each) > 1 for point in (*each, gap)]
    single = [each[0] for each in found if len(each) == 1]
    if several:
        axes.plot([p[along] for p in several], [_number(p[1]) for p in several], **look)
    if single:
        look = {key: look[key] for key in ("label", "color", "alpha") if key in look}
        axes.plot(
            [p[along] for p in single], [_number(p[1]) for p in single], ".", markersize=3, **look
        )


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def parallel(run: RunSummary) -> Drawing | None:
    """Draw each trial as a line through its hyperparameters to its score, each on the scale that it was drawn on."""
    scored = scored_trials(run)
    if len(scored) < 2 or not run.axes:
        return None
    values = [trial.value for trial in scored if trial.value is not None]
    count = len(run.axes) + 1
    low, high = colour_range(run, values)
    ends = min(values), max(values)
    score = Axis(run.metric, run.metric, "linear", *ends)
    width = min(WIDEST, max(WIDTH, INCHES_AN_AXIS * count))
    with canvas(width, HEIGHT) as figure:
        axes = figure.add_subplot()
        axes.grid(visible=False)
        every = [_ruler(axes, each, place, count) for place, each in enumerate([*run.axes, score])]
        if run.mode == "min":
            every[-1].invert_yaxis()
        lines = [
            [
                (place, _height(ruler, each, where))
                for place, (ruler, each, where) in enumerate(
                    zip(every, [*run.axes, score], _places(run, trial), strict=True)
                )
                if where is not None
            ]
            for trial in reversed(scored)
        ]
        look: dict[str, Any] = {"cmap": COLOURS if run.mode == "max" else COLOURS.reversed()}
        look |= {"norm": Normalize(low, high, clip=True), "alpha": _opacity(len(lines))}
        shown = LineCollection(lines, linewidths=1.2, **look)
        shown.set_array([_number(trial.value) for trial in reversed(scored)])
        axes.add_collection(shown)
        axes.set(xlim=(0, count - 1), ylim=(0, 1))
        axes.yaxis.set_major_locator(NullLocator())
        names = [said(each.shown, 18) for each in (*run.axes, score)]
        axes.set_xticks(range(count), names)
        axes.tick_params(axis="x", length=0, pad=8)
        axes.spines[["left", "bottom"]].set_visible(False)
        return entitle(figure, "What was tried, and what came of it")


def _opacity(lines: int) -> float:
    return 0.8 if lines < 100 else 0.5 if lines < 1000 else 0.25


def _places(run: RunSummary, trial: TrialSummary) -> Iterator[float | str | None]:
    yield from (each.place(trial.hyperparameters) for each in run.axes)
    yield trial.value


def _ruler(host: Axes, each: Axis, place: int, count: int) -> Axes:
    """Return axes of their own for one hyperparameter: a scale with its ticks, at its place along the figure."""
    ruler = host.twinx()
    ruler.grid(visible=False)
    for side in ("left", "top", "bottom"):
        ruler.spines[side].set_visible(False)
    ruler.spines["right"].set(visible=True, position=("axes", place / (count - 1)))
    ruler.tick_params(axis="y", labelsize="x-small")
    scale_axis(ruler, each, "y")
    ruler.patch.set_visible(False)
    for tick in ruler.yaxis.get_major_ticks():
        tick.label2.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6})
    return ruler


def scale_axis(axes: Axes, each: Axis, along: str) -> None:
    """Set an axis up as a hyperparameter's: its scale, its ends, β so that 1-β falls."""
    line = axes.yaxis if along == "y" else axes.xaxis
    set_limits = axes.set_ylim if along == "y" else axes.set_xlim
    if each.scale == "choice":
        set_limits(-0.5, len(each.values) - 0.5)
        line.set_major_locator(FixedLocator(range(len(each.values))))
        line.set_ticklabels([said(value, 14) for value in each.values])
        return
    if each.scale != "linear" and each.low > 0:
        log_scale(axes, along, each.high / each.low)
    elif each.is_whole:
        line.set_major_locator(MaxNLocator(integer=True))
    low, high = (each.low, each.high) if each.low < each.high else _around(each.low)
    set_limits(*((high, low) if each.scale == "one_minus" and along == "y" else (low, high)))


def _around(value: float) -> tuple[float, float]:
    span = abs(value) / 2 or 0.5
    return value - span, value + span


def _height(ruler: Axes, each: Axis, where: float | str) -> float:
    """Return how far up a value lies on its axis, 0 to 1."""
    at = each.values.index(where) if isinstance(where, str) else where
    low, at, high = ruler.transScale.transform(
        [(0.5, y) for y in (ruler.get_ylim()[0], at, ruler.get_ylim()[1])]
    )[:, 1]
    return float((at - low) / (high - low))


def plane(run: RunSummary) -> Drawing | None:
    """Draw the trials by two of their hyperparameters, α and 1-β where there are such, their scores as colours."""
    scored, chosen = scored_trials(run), plane_axes(run)
    if len(scored) < 2 or chosen is None:
        return None
    across, up = chosen
    values = [trial.value for trial in scored if trial.value is not None]
    low, high = colour_range(run, values)
    look: dict[str, Any] = {"norm": Normalize(low, high, clip=True), "edgecolors": "#5a6472"}
    look |= {"cmap": COLOURS if run.mode == "max" else COLOURS.reversed(), "linewidths": 0.5}
    with canvas() as figure:
        axes = figure.add_subplot()
        mapped = None
        for name, trials, marker, size in (
            ("stopped early", _of(scored, stopped=True), "^", 26),
            ("trained on", _of(scored, stopped=False), "o", 48),
        ):
            spots = [
                (across.place(t.hyperparameters), up.place(t.hyperparameters), t.value)
                for t in reversed(trials)
            ]
            known = [spot for spot in spots if None not in spot]
            if known:
                x, y, value = zip(*known, strict=True)
                mapped = axes.scatter(x, y, c=value, marker=marker, s=size, label=name, **look)
        if mapped is None:
            return None
        if ends := diagonal(scored[0], across, up):
            x, y = zip(*ends, strict=True)
            axes.plot(x, y, "--", color=FAINT, label="α/(1-β) of the best", zorder=1)
        scale_axis(axes, across, "x")
        scale_axis(axes, up, "y")
        if up.scale == "one_minus":
            axes.set_ylim(up.low, up.high)
        axes.set(xlabel=said(across.shown), ylabel=said(up.shown))
        figure.colorbar(
            mapped, label=said(run.metric), extend="min" if run.mode == "max" else "max"
        )
        legend(axes)
        return entitle(figure, f"{said(across.shown)} against {said(up.shown)}")


def _of(trials: Iterable[TrialSummary], stopped: bool) -> list[TrialSummary]:
    return [trial for trial in trials if (trial.status == "stopped") == stopped]
