"""The figures of a babysat model: its curve with what was done to it, its hyperparameters by day, its branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchestrator.report.curve import Curve, finite
from orchestrator.report.formatting import cell, number, shown_name
from orchestrator.report.html.charts.chart import (
    BAD,
    DASHES,
    FAINT,
    GOOD,
    SERIES,
    Chart,
    Option,
    Table,
    axis,
    line,
    option,
    score_axis,
    thinned,
)
from orchestrator.report.panda_summary import Change, Lineage, PandaSummary

MOST_POINTS = 1500
"""Of one curve: more than a screen is wide."""
MOST_DAYS = 40
"""More days are not drawn as lines."""
MOST_DRAWN = 4


def panda_charts(panda: PandaSummary, metric: str) -> Iterator[Chart]:
    """Yield what there is to draw of a babysat model."""
    if any(each.curve.epochs for each in panda.lines):
        yield curve_chart(panda, metric)
    yield from _in_force(panda)
    if len(panda.lines) > 1:
        yield tree(panda)


def curve_chart(panda: PandaSummary, metric: str) -> Chart:
    """Draw the model's curves: changes as numbered marks, rolled back stretches grey, branches beside them."""
    views = {metric: metric}
    loss = "val_loss" if metric != "val_loss" else "loss"
    if any(loss in each.curve.metrics for each in panda.lines):
        views[loss] = loss
    drawn = {label: _series(panda, name) for label, name in views.items()}
    ways: dict[str, Option] = {
        label: {"yAxis": {"name": label}, "series": series} for label, series in drawn.items()
    }
    names = [each["name"] for each in drawn[metric] if not each["name"].startswith("days")]
    values = [
        v for each in panda.lines for v in each.curve.metrics.get(metric, ()) if v is not None
    ]
    says = f"{metric} after each epoch, and of training dashed; {len(panda.changes)} changes as numbered marks."
    if any(each.abandoned for each in panda.lines):
        says += " Grey and dotted is what was rolled back."
    shown = option(
        legend={"data": list(dict.fromkeys(names)), "type": "scroll", "top": 0},
        xAxis=axis("epoch", min="dataMin", max="dataMax"),
        yAxis=score_axis(metric, values),
        series=drawn[metric],
    )
    shown["grid"] |= {"top": 64}
    head = ["mark", "trial", "day", "epoch", "what", "by whom", "why", "before", "after", "trend"]
    rows = [_row(place, each) for place, each in enumerate(panda.changes, 1)]
    table = Table(head, rows)
    return Chart("panda", "The model", says, shown, table, ways if len(ways) > 1 else {}, 460)


def _row(place: int, change: Change) -> list[Any]:
    effect = change.effect
    measured = (effect.before, effect.after, effect.expected) if effect else (None, None, None)
    what = (change.trial, change.day, change.epoch, change.what, change.who, change.why)
    return [place, *what, *measured]


def _series(panda: PandaSummary, metric: str) -> list[Option]:
    series: list[Option] = []
    for place, each in enumerate(panda.lines):
        colour = SERIES[(place + 1) % len(SERIES)]
        begin = forked_from(panda, each, metric)
        style: Option = {"width": 2.5, "type": DASHES[place % 3]}
        series.append(
            line(
                each.trial,
                begin + curve_points(each.curve, metric),
                color=colour,
                lineStyle=style,
                z=4,
            )
        )
        training = metric.removeprefix("val_")
        if training != metric and training in each.curve.metrics:
            style = {"width": 1, "type": "dashed", "opacity": 0.7}
            name = f"{each.trial}, training"
            series.append(
                line(name, curve_points(each.curve, training), color=colour, lineStyle=style)
            )
        for gone in each.abandoned:
            style = {"width": 2, "type": "dotted", "color": FAINT}
            left = [p for p in at_epoch(each, gone.epochs[0] - 1, metric) if p[0] < gone.epochs[0]]
            data = left + curve_points(gone, metric)
            series.append(line("rolled back", data, color=FAINT, lineStyle=style))
    series.append(_marks(panda, metric) | {"markLine": _day_lines(panda)})
    return [each | {"id": f"{place}"} for place, each in enumerate(series)]


def curve_points(curve: Curve, metric: str) -> list[list[Any]]:
    """Return a curve as [epoch, value], thinned."""
    values = curve.metrics.get(metric, ())
    return [[curve.epochs[i], values[i]] for i in thinned(values, MOST_POINTS)]


def forked_from(panda: PandaSummary, branch: Lineage, metric: str) -> list[list[Any]]:
    """Return the point of its parent's curve from which a branch goes on."""
    parent = next((each for each in panda.lines if each.trial == branch.parent), None)
    if parent is None or branch.parent_epoch is None:
        return []
    return [p for p in at_epoch(parent, branch.parent_epoch, metric) if p[1] is not None]


def at_epoch(of: Lineage, epoch: int, metric: str) -> list[list[Any]]:
    """Return a curve's point at an epoch, or at the first one after it; none where there is none."""
    found = zip(of.curve.epochs, of.curve.metrics.get(metric, ()), strict=False)
    return [[at, value] for at, value in found if at >= epoch][:1]


def _marks(panda: PandaSummary, metric: str) -> Option:
    """Return a pin at each epoch after which something was done, with the numbers of all that was."""
    at: dict[tuple[str, int], list[tuple[int, Change]]] = {}
    for place, change in enumerate(panda.changes, 1):
        at.setdefault((change.trial, change.epoch), []).append((place, change))
    data = []
    for (trial, epoch), done in at.items():
        model = next(each for each in panda.lines if each.trial == trial)
        said = "; ".join(f"{place}: {each.what}, by {each.who}" for place, each in done)
        label = {"formatter": ", ".join(str(place) for place, _ in done)}
        for point in at_epoch(model, epoch, metric):
            data.append({"name": said, "value": point, "label": label})
    shown = {"show": True, "color": "#fff", "fontSize": 11, "fontWeight": "bold"}
    pins = {"symbol": "pin", "symbolSize": 38, "color": BAD, "label": shown, "z": 6}
    tooltip = {"formatter": "{b}"}
    return {"type": "scatter", "name": "changes", "data": data, "tooltip": tooltip} | pins


def _day_lines(panda: PandaSummary) -> Option:
    ends = sorted({epoch for each in panda.lines for epoch in each.days})
    shown = ends if len(ends) <= MOST_DAYS else []
    style = {"color": "rgba(140, 146, 156, 0.4)", "type": "solid"}
    data = [{"xAxis": epoch, "name": f"{day}"} for day, epoch in enumerate(shown, 1)]
    label = {"formatter": "day {b}" if len(shown) <= 12 else "{b}", "color": FAINT}
    return {"silent": True, "symbol": "none", "lineStyle": style, "label": label, "data": data}


def _in_force(panda: PandaSummary) -> Iterator[Chart]:
    """Yield a figure for each hyperparameter that was changed, by day."""
    names = dict.fromkeys(name for each in panda.lines for force in each.in_force for name in force)
    for name in changed(panda):
        values = values_in_force(panda, name)
        series = [
            line(
                each.trial,
                steps_of(each, name),
                step="start",
                showSymbol=True,
                color=SERIES[(place + 1) % len(SERIES)],
            )
            for place, each in enumerate(panda.lines)
        ]
        shown = shown_name(name)
        says = f"{shown} in force at the end of each day, between {number(min(values))} and {number(max(values))}."
        rows = [
            [each.trial, day, f.get(name)]
            for each in panda.lines
            for day, f in zip(each.days, each.in_force, strict=True)
        ]
        yield Chart(
            f"force-{list(names).index(name)}",
            shown,
            says,
            option(
                legend={"top": 0},
                xAxis=axis("epoch"),
                yAxis=axis(shown, "log" if min(values) > 0 else "value"),
                series=series,
            ),
            Table(["trial", "epoch", shown], rows),
            height=260,
        )


def changed(panda: PandaSummary) -> list[str]:
    """Return the first hyperparameters that were changed, of β the 1-β."""
    names = dict.fromkeys(name for each in panda.lines for force in each.in_force for name in force)
    found = [name for name in names if len(values_in_force(panda, name)) > 1]
    return [name for name in found if f"one_minus_{name}" not in found][:MOST_DRAWN]


def values_in_force(panda: PandaSummary, name: str) -> set[float]:
    """Return the values that a hyperparameter had at the ends of days."""
    found = (finite(force.get(name)) for each in panda.lines for force in each.in_force)
    return {value for value in found if value is not None}


def steps_of(of: Lineage, name: str) -> list[list[Any]]:
    """Return a value from day to day, each in force since the day before ended, from where the model began."""
    begin = of.parent_epoch or 0
    return [[begin, finite(of.start.get(name))]] + [
        [epoch, finite(force.get(name))] for epoch, force in zip(of.days, of.in_force, strict=True)
    ]


def tree(panda: PandaSummary) -> Chart:
    """Draw which model branched off which, and when."""
    roots = [each for each in panda.lines if each.parent is None]
    series = {
        "type": "tree",
        "data": [_node(panda, roots[0])] if roots else [],
        "orient": "LR",
        "left": 90,
        "right": 160,
        "symbolSize": 12,
        "expandAndCollapse": False,
        "initialTreeDepth": -1,
        "label": {"position": "left", "fontSize": 12},
        "leaves": {"label": {"position": "right"}},
        "lineStyle": {"color": FAINT, "width": 2},
        "itemStyle": {"color": GOOD},
    }
    rows = [[e.trial, e.parent, e.parent_day, e.value] for e in panda.lines]
    count = len(panda.lines) - 1
    says = f"{count} branch{'es' * (count > 1)}: from which day of which model each one goes on, and its best value."
    table = Table(["trial", "branched off", "at day", "best"], rows)
    return Chart(
        "tree", "Branches", says, option(series=[series]), table, height=100 + 60 * len(panda.lines)
    )


def _node(panda: PandaSummary, of: Lineage) -> Option:
    children = [each for each in panda.lines if each.parent == of.trial]
    day = "" if of.parent_day is None else f", day {of.parent_day}"
    value = "" if of.value is None else f": {cell(of.value)}"
    return {
        "name": f"{of.trial}{day}{value}",
        "children": [_node(panda, each) for each in children],
    }
