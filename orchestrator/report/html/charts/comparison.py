"""The figures of several runs: their best curves over each other, how they got there, and who leads by how much."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.report.comparison import STANDARD_ERRORS, Comparison
from orchestrator.report.html.charts.chart import (
    DASHES,
    FAINT,
    GOOD,
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
from orchestrator.report.run_summary import RunSummary

MOST_POINTS = 1000


def comparison_charts(runs: Sequence[RunSummary], found: Comparison) -> list[Chart]:
    """Return what there is to draw of several runs together."""
    return [*_charts(runs), *_margins(found)]


def _charts(runs: Sequence[RunSummary]) -> Iterator[Chart]:
    """Yield the runs' best curves and how each got to its best, a figure for each metric that runs are judged by."""
    for place, metric in enumerate(dict.fromkeys(run.metric for run in runs)):
        same = [run for run in runs if run.metric == metric and run.best is not None]
        if same:
            yield _best_curves(same, metric, f"best-curves-{place}")
            yield _progress(same, metric, f"progress-{place}")


def _style(place: int) -> Option:
    style = {"width": 2.5, "type": DASHES[place % 3]}
    colour, symbol = SERIES[place % len(SERIES)], SYMBOLS[place % len(SYMBOLS)]
    return {"color": colour, "symbol": symbol, "lineStyle": style, "id": f"{place}"}


def _best_curves(runs: Sequence[RunSummary], metric: str, id: str) -> Chart:
    series, values, rows = [], [], []
    for place, run in enumerate(runs):
        curve = run.best.curve if run.best else None
        had = curve.metrics.get(metric, ()) if curve else ()
        values += [value for value in had if value is not None]
        data = [[curve.epochs[i], had[i]] for i in thinned(had, MOST_POINTS)] if curve else []
        series.append(line(run.name, data) | _style(place))
        rows.append([run.name, run.best and run.best.trial, run.best and run.best.value])
    says = f"{metric} after each epoch of the best trial of each run."
    shown = option(
        legend={"top": 0, "type": "scroll"},
        xAxis=axis("epoch", min="dataMin", max="dataMax"),
        yAxis=score_axis(metric, values),
        series=series,
    )
    return Chart(
        id, f"The best curves by {metric}", says, shown, Table(["run", "trial", metric], rows)
    )


def _progress(runs: Sequence[RunSummary], metric: str, id: str) -> Chart:
    series, rows = [], []
    for place, run in enumerate(runs):
        data = [[each.epochs, each.value, round(each.seconds, 2)] for each in run.progress]
        series.append(line(run.name, data, step="end") | _style(place))
        rows += [[run.name, e.trial, e.value, e.epochs, round(e.seconds, 1)] for e in run.progress]
    ways: dict[str, Option] = {
        label: {
            "xAxis": {"name": name},
            "series": [{"id": each["id"], "encode": {"x": at, "y": 1}} for each in series],
        }
        for label, name, at in (("Epochs", "epochs of all trials", 0), ("Time", "seconds", 2))
    }
    says = (
        f"The best {metric} so far of each run, against the epochs of all its trials or the time."
    )
    shown = option(
        legend={"top": 0, "type": "scroll"},
        xAxis=axis("epochs of all trials"),
        yAxis=score_axis(metric, [each.value for run in runs for each in run.progress]),
        series=series,
    )
    head = ["run", "trial", metric, "epochs", "seconds"]
    return Chart(id, f"The best {metric} so far", says, shown, Table(head, rows), ways)


def margins(found: Comparison) -> list[tuple[str, float, float, float]]:
    """Return the runs whose noise is known: name, how far behind, and two standard errors less and more."""
    known = [row for row in found.rows if row["behind"] is not None and row["noise"] is not None]
    off = ((row, STANDARD_ERRORS * row["noise"]) for row in known)
    return [(row["run"], row["behind"], row["behind"] - e, row["behind"] + e) for row, e in off]


def _margins(found: Comparison) -> Iterator[Chart]:
    """Yield by how much each run is behind the leader, with an interval where the noise is known."""
    rows = margins(found)
    if not rows:
        return
    boxes = [[low, behind, behind, behind, high] for _, behind, low, high in rows]
    zero: Option = {
        "silent": True,
        "symbol": "none",
        "label": {"show": False},
        "data": [{"xAxis": 0}],
    }
    whiskers: Option = {"type": "boxplot", "data": boxes, "boxWidth": [14, 14]}
    whiskers |= {"itemStyle": {"borderColor": GOOD, "borderWidth": 2}}
    says = (
        "How far each run's best is behind the leader's, with two standard errors of the difference either way: across"
        " 0, it is within the noise. Both were judged on validation rows that had chosen them."
    )
    shown = option(
        xAxis=axis("behind the leader"),
        yAxis={"type": "category", "data": [row[0] for row in rows], "inverse": True},
        series=[whiskers | {"markLine": zero | {"lineStyle": {"color": FAINT}}}],
    )
    table = Table(["run", "behind", "low", "high"], rows)
    yield Chart("margins", "Margins", says, shown, table, height=110 + 44 * len(rows))
