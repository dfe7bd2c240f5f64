"""The figures of a search's trials: their curves, and where they lay in the space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.report.axes import Axis
from orchestrator.report.formatting import number
from orchestrator.report.html.charts.chart import (
    BAD,
    DASHES,
    FAINT,
    RAMP,
    SERIES,
    SYMBOLS,
    Chart,
    Option,
    Table,
    axis,
    line,
    option,
    score_axis,
    thinned,
)
from orchestrator.report.run_summary import RunSummary, TrialSummary

HIGHLIGHTED = 5
FEWEST_TO_ZOOM = 10
MOST_DOTS = 2_000
GONE = ("failed", "diverged")
MOST_POINTS = 40_000
"""Of all curves of a page; each has ``FEWEST_POINTS`` at least."""
FEWEST_POINTS = 8
RATES = ("learning_rate", "lr", "alpha")


def space_charts(run: RunSummary) -> Iterator[Chart]:
    """Yield what there is to draw of a search's trials."""
    if any(trial.curve.epochs for trial in run.trials):
        yield curves(run)
    scored = scored_trials(run)
    if len(scored) > 1 and run.axes:
        yield parallel(run, scored)
        if plane := plane_axes(run):
            yield plane_chart(run, scored, *plane)


def scored_trials(run: RunSummary) -> list[TrialSummary]:
    """Return the trials of the newest group that have a score, best first."""
    return [trial for trial in run.trials if trial.value is not None and trial.is_newest]


def points(trial: TrialSummary, metric: str, most: int) -> list[list[Any]]:
    """Return a curve as [epoch, value, seconds], thinned but for its best."""
    values = trial.curve.metrics.get(metric, ())
    best = [i for i, epoch in enumerate(trial.curve.epochs) if epoch == trial.best_epoch]
    return [
        [trial.curve.epochs[i], values[i], max(round(trial.curve.seconds[i], 3), 0.001)]
        for i in thinned(values, most, best)
    ]


def most_points(run: RunSummary) -> int:
    """Return how many points each curve may have."""
    return max(FEWEST_POINTS, MOST_POINTS // max(1, len(run.trials)))


def curves(run: RunSummary) -> Chart:
    """Draw every trial's curve: the best ones highlighted, the others faint, the rungs as lines."""
    most = most_points(run)
    drawn = [trial for trial in run.trials if trial.curve.epochs]
    best, others, gone = best_others_gone(drawn)
    series = [
        *_together("others", others, run, most, {"color": FAINT, "opacity": 0.4, "width": 1}),
        *_together(
            "failed or of an older group", gone, run, most, {"color": BAD, "type": "dotted"}
        ),
        *(_highlighted(run, trial, place, most) for place, trial in enumerate(best)),
    ]
    marks = [{"xAxis": rung.epoch, "name": f"rung {rung.epoch}"} for rung in run.rungs]
    rungs = line("rungs", [], id="rungs", markLine=_rung_lines(marks))
    values = [v for t in drawn for v in t.curve.metrics.get(run.metric, ()) if v is not None]
    says = _curves_say(run, best, others)
    zoom = _zoom(run, values)
    if zoom:
        says += " Lower values are out of sight until the slider at the right is moved."
    names = list(dict.fromkeys(each["name"] for each in series))
    shown = option(
        legend={"data": names, "type": "scroll", "top": 0},
        xAxis=axis("epoch", min="dataMin", max="dataMax"),
        yAxis=score_axis(run.metric, values),
        series=[*series, rungs],
        dataZoom=zoom,
    )
    shown["grid"] |= {"right": 56} if zoom else {}
    return Chart(
        "curves", "Learning curves", says, shown, _curve_table(run, best), _ways(series, marks)
    )


def best_others_gone(
    drawn: Sequence[TrialSummary],
) -> tuple[list[TrialSummary], list[TrialSummary], list[TrialSummary]]:
    """Return the trials to highlight, those to draw faint, and those that failed or are of an older group."""
    gone = [t for t in drawn if t.status in GONE or not t.is_newest]
    left = set(map(id, gone))
    rest = [t for t in drawn if id(t) not in left]
    best = [t for t in rest if t.value is not None][:HIGHLIGHTED]
    known = set(map(id, best))
    return best, [t for t in rest if id(t) not in known], gone


def _highlighted(run: RunSummary, trial: TrialSummary, place: int, most: int) -> Option:
    return line(
        trial.trial,
        points(trial, run.metric, most),
        id=f"best-{place}",
        showSymbol=True,
        symbol=SYMBOLS[place],
        symbolSize=6,
        z=5,
        color=SERIES[place],
        lineStyle={"width": 2.5, "type": DASHES[place % 3]},
        dimensions=["epoch", run.metric, "seconds"],
        encode={"x": 0, "y": 1, "tooltip": [0, 1, 2]},
    )


def _zoom(run: RunSummary, values: Sequence[float]) -> list[Option]:
    """Return what shows the better part of the axis first, where a few bad trials would press it together."""
    ordered = sorted(trial.value for trial in run.trials if trial.value is not None)
    if run.mode == "min" or len(ordered) < FEWEST_TO_ZOOM:
        return []
    start, low, high = float(f"{ordered[len(ordered) // 4]:.1g}"), min(values), max(values)
    if start - low < (high - low) / 2:
        return []
    return [
        {
            "type": "slider",
            "yAxisIndex": 0,
            "filterMode": "none",
            "showDataShadow": False,
            "startValue": start,
            "width": 18,
        }
    ]


def _together(
    name: str, trials: Sequence[TrialSummary], run: RunSummary, most: int, style: Option
) -> Iterator[Option]:
    """Yield many curves as one line with gaps: a browser draws one path in no time, a thousand in seconds.

    Those of one epoch are dots.
    """
    found = [points(trial, run.metric, most) for trial in trials]
    several = [point for each in found if len(each) > 1 for point in (*each, [None] * 3)]
    single = [each[0] for each in found if len(each) == 1]
    single = single[:: 1 + len(single) // MOST_DOTS]
    common = {"color": style["color"], "silent": True}
    if several:
        yield line(name, several, id=name, lineStyle=style, connectNulls=False) | common
    if single:
        faint = {"opacity": style.get("opacity", 1)}
        dots = {"type": "scatter", "name": name, "id": f"{name}, dots", "data": single}
        yield dots | common | {"symbolSize": 4, "itemStyle": faint}


def _rung_lines(marks: Sequence[Option]) -> Option:
    return {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": FAINT, "type": "dashed"},
        "label": {"formatter": "{b}", "color": FAINT},
        "data": list(marks),
    }


def _ways(series: Sequence[Option], marks: Sequence[Option]) -> dict[str, Option]:
    ways = {}
    for label, name, dimension in (("Epochs", "epoch", 0), ("Seconds", "seconds of training", 2)):
        for kind, suffix in (("value", ""), ("log", ", log")):
            encoded = [{"id": each["id"], "encode": {"x": dimension, "y": 1}} for each in series]
            lines = {"id": "rungs", "markLine": {"data": [] if dimension else list(marks)}}
            # The whole axis: one of another type is a new one.
            along = axis(name, kind, min="dataMin", max="dataMax")
            ways[label + suffix] = {"xAxis": along, "series": [*encoded, lines]}
    return ways


def _curves_say(
    run: RunSummary, best: Sequence[TrialSummary], others: Sequence[TrialSummary]
) -> str:
    stopped = run.endings.get("stopped", 0)
    said = f"{run.metric} after each epoch of {len(best) + len(others)} trials"
    if best:
        said += f"; the best {len(best)} stand out, led by {best[0].trial} with {number(best[0].value or 0)}"
    return said + (f"; {stopped} were stopped early." if stopped else ".")


def _curve_table(run: RunSummary, best: Sequence[TrialSummary]) -> Table:
    at = {
        t.trial: dict(zip(t.curve.epochs, t.curve.metrics.get(run.metric, ()), strict=False))
        for t in best
    }
    epochs = sorted({epoch for curve in at.values() for epoch in curve})
    kept = [epochs[place] for place in thinned([float(epoch) for epoch in epochs], 60)]
    return Table(
        ["epoch", *at], [[epoch, *(curve.get(epoch) for curve in at.values())] for epoch in kept]
    )


def parallel(run: RunSummary, scored: Sequence[TrialSummary]) -> Chart:
    """Draw each trial as a line through its hyperparameters to its score, each on the scale that it was drawn on."""
    axes = [_parallel_axis(place, each) for place, each in enumerate(run.axes)]
    values = [trial.value for trial in scored if trial.value is not None]
    last = score_axis(run.metric, values, dim=len(axes), inverse=run.mode == "min")
    axes.append({key: last[key] for key in ("type", "name", "dim", "inverse", "scale")})
    axes[-1]["nameLocation"] = "start" if run.mode == "min" else "end"
    # The score twice: a colour cannot be that of a dimension that is an axis too (apache/echarts#14961).
    data = [
        {
            "name": t.trial,
            "value": [*(a.place(t.hyperparameters) for a in run.axes), t.value, t.value],
        }
        for t in reversed(scored)
    ]
    says = (
        f"Each line is one of {len(scored)} trials, from its hyperparameters to its {run.metric} at the right. Drag"
        " along an axis to keep the trials of a range: the table below follows."
    )
    style = {"width": 1.5 if len(data) < 300 else 1, "opacity": _opacity(len(data))}
    lines = {"type": "parallel", "data": data, "lineStyle": style}
    place = {"left": 48, "right": 64, "top": 40, "bottom": 28}
    drawn = option(
        parallel=place | {"parallelAxisDefault": {"nameGap": 14}},
        parallelAxis=axes,
        visualMap=_ramp(run, values, len(axes)),
        series=[lines | {"inactiveOpacity": 0.04, "activeOpacity": 0.9}],
    )
    return Chart("parallel", "What was tried, and what came of it", says, drawn, height=420)


def _opacity(lines: int) -> float:
    return 0.75 if lines < 100 else 0.45 if lines < 1000 else 0.2


def _parallel_axis(place: int, each: Axis) -> Option:
    named = {"dim": place, "name": each.shown}
    if each.scale == "choice":
        return named | {"type": "category", "data": list(each.values)}
    kind = "value" if each.scale == "linear" else "log"
    inverse = each.scale == "one_minus"
    return named | {
        "type": kind,
        "inverse": inverse,
        "nameLocation": "start" if inverse else "end",
        "minInterval": 1 if each.is_whole else 0,
        "min": each.low,
        "max": each.high,
    }


def colour_range(run: RunSummary, values: Sequence[float]) -> tuple[float, float]:
    """Return the scores of the first and the last colour: what came out badly differs in nothing of interest."""
    ordered = sorted(values)
    middle, quarter = ordered[len(ordered) // 2], max(1, len(ordered) // 4)
    low, high = (
        (ordered[quarter - 1], ordered[-1])
        if run.mode == "max"
        else (ordered[0], ordered[-quarter])
    )
    if low == high:
        low, high = min(low, middle), max(high, middle) or 1.0
    return low, high


def _ramp(run: RunSummary, values: Sequence[float], dimension: int) -> Option:
    """Return the colours of scores."""
    low, high = colour_range(run, values)
    colours = RAMP if run.mode == "max" else RAMP[::-1]
    return {
        "show": False,
        "dimension": dimension,
        "min": low,
        "max": high,
        "inRange": {"color": list(colours)},
    }


def plane_axes(run: RunSummary) -> tuple[Axis, Axis] | None:
    """Return α and 1-β where the run has both, else the first two numbers."""
    numbers = [each for each in run.axes if each.scale != "choice"]
    rate = next((each for each in numbers if each.name in RATES), None)
    beta = next((each for each in numbers if each.scale == "one_minus"), None)
    if rate and beta:
        return rate, beta
    return (numbers[0], numbers[1]) if len(numbers) > 1 else None


def plane_chart(run: RunSummary, scored: Sequence[TrialSummary], x: Axis, y: Axis) -> Chart:
    """Draw the trials by two of their hyperparameters, their scores as colours."""
    stopped = [trial for trial in scored if trial.status == "stopped"]
    whole = [trial for trial in scored if trial.status != "stopped"]
    groups = (("trained on", whole, "circle", 11), ("stopped early", stopped, "triangle", 8))
    named: Option = {"type": "scatter", "dimensions": [x.shown, y.shown, run.metric]}
    named["encode"] = {"x": 0, "y": 1, "tooltip": [0, 1, 2]}
    series: list[Option] = []
    for name, trials, symbol, size in groups:
        data = [_spot(trial, x, y) for trial in reversed(trials)]
        series.append(named | {"name": name, "symbol": symbol, "symbolSize": size, "data": data})
    values = [trial.value for trial in scored if trial.value is not None]
    says = (
        f"Each point is a trial: {x.shown} against {y.shown}, redder where {run.metric} is better."
    )
    says += " Triangles were stopped early."
    if ends := diagonal(scored[0], x, y):
        dashed = {"type": "dashed", "color": FAINT}
        same = line("same α/(1-β) as the best", ends, lineStyle=dashed, color=FAINT)
        series.append(same | {"silent": True, "z": 1})
        says += " Along the dashed line α/(1-β), SGD's effective step, is that of the best trial."
    drawn = option(
        legend={"top": 0},
        xAxis=_plane_axis(x),
        yAxis=_plane_axis(y),
        visualMap=_ramp(run, values, 2) | {"seriesIndex": [0, 1]},
        series=series,
    )
    return Chart("plane", f"{x.shown} against {y.shown}", says, drawn)


def _spot(trial: TrialSummary, x: Axis, y: Axis) -> Option:
    places = (x.place(trial.hyperparameters), y.place(trial.hyperparameters))
    return {"name": trial.trial, "value": [*places, trial.value]}


def _plane_axis(each: Axis) -> Option:
    kind = "value" if each.scale == "linear" else "log"
    return axis(each.shown, kind, min=each.low, max=each.high)


def diagonal(best: TrialSummary, x: Axis, y: Axis) -> list[list[float]]:
    """Return the ends of the line of the best trial's α/(1-β) within the axes; none where they are no such pair."""
    rate, rest = x.place(best.hyperparameters), y.place(best.hyperparameters)
    if (
        (x.scale, y.scale) != ("log", "one_minus")
        or not isinstance(rate, float)
        or not isinstance(rest, float)
    ):
        return []
    step = rate / rest
    low, high = max(x.low, y.low * step), min(x.high, y.high * step)
    return [[low, low / step], [high, high / step]] if low < high else []
