"""The figures of how a search got to its best: its progress, rungs, finalists and rounds, and what mattered."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from orchestrator.analysis import Estimate, Importance
from orchestrator.report.formatting import clock, number
from orchestrator.report.html.charts.chart import (
    BAD,
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
)
from orchestrator.report.pareto import Tradeoff, tradeoffs
from orchestrator.report.run_summary import RunSummary, TimeSpent


def course_charts(run: RunSummary) -> Iterator[Chart]:
    """Yield what there is to draw of a search's course."""
    if run.progress:
        yield progress(run)
    if run.rungs:
        yield rungs(run)
    if run.importance and run.importance.weights:
        yield importance(run.importance)
    if run.finalists:
        yield race(run)
    if any(move.low is not None for move in run.rounds):
        yield rounds(run)
    if found := tradeoffs(run):
        yield pareto(run, found)
    if run.time:
        yield time_spent(run.time)


def pareto(run: RunSummary, found: Sequence[Tradeoff]) -> Chart:
    """Draw the score against what it cost, and the trials that no other one beats in both."""
    ways = {_capital(each.cost): _offered(each) for each in found}
    first = found[0]
    says = "Each point is a trial; on the dashed line are those that no other one beats in both."
    rows = [[each.cost, o.trial, o.cost, o.score] for each in found for o in each.front]
    costs = [offer.cost for offer in first.offers]
    drawn = option(
        legend={"top": 0},
        xAxis=score_axis(first.cost, costs, inverse=first.mode == "max"),
        yAxis=score_axis(run.metric, [offer.score for offer in first.offers]),
        series=[
            {"type": "scatter", "name": "trials", "symbolSize": 7, "color": FAINT}
            | {"itemStyle": {"opacity": 0.6}},
            line("not beaten in both", [], showSymbol=True, symbol="diamond", symbolSize=11)
            | {"step": "end", "color": BAD, "lineStyle": {"type": "dashed"}},
        ],
    )
    for one, more in zip(drawn["series"], next(iter(ways.values()))["series"], strict=True):
        one |= more
    table = Table(["against", "trial", "cost", run.metric], rows)
    return Chart(
        "pareto",
        "What a better score costs",
        says,
        drawn,
        table,
        ways if len(ways) > 1 else {},
        340,
    )


def _capital(cost: str) -> str:
    return cost if "_" in cost else f"{cost[:1].upper()}{cost[1:]}"


def _offered(found: Tradeoff) -> Option:
    """Return the trials and the front as data of the two series, and their axis."""
    every = [{"name": o.trial, "value": [o.cost, o.score]} for o in (*found.beaten, *found.front)]
    front = [{"name": o.trial, "value": [o.cost, o.score]} for o in found.front]
    along = score_axis(found.cost, [o.cost for o in found.offers], inverse=found.mode == "max")
    return {
        "xAxis": along,
        "series": [{"id": "trials", "data": every}, {"id": "front", "data": front}],
    }


def progress(run: RunSummary) -> Chart:
    """Draw the best value so far against the epochs of all trials, or the time."""
    data = [[each.epochs, each.value, round(each.seconds, 2)] for each in run.progress]
    steps = line(run.metric, data, id="best", step="end", color=GOOD, lineStyle={"width": 2.5})
    rows = [[each.trial, each.value, each.epochs, clock(each.seconds)] for each in run.progress]
    last = max(
        (e for e in run.progress if e.value == run.progress[-1].value), key=lambda e: -e.epochs
    )
    says = (
        f"The best {run.metric} came after {last.epochs} of {run.progress[-1].epochs} epochs of all trials,"
        f" {clock(last.seconds)} into the run, by {last.trial}."
    )
    ways = {
        label: {
            "xAxis": {"name": name},
            "series": [{"id": "best", "encode": {"x": dimension, "y": 1}}],
        }
        for label, name, dimension in (
            ("Epochs", "epochs of all trials", 0),
            ("Time", "seconds", 2),
        )
    }
    drawn = option(
        xAxis=axis("epochs of all trials"),
        yAxis=score_axis(run.metric, [each.value for each in run.progress]),
        series=[steps],
    )
    drawn["tooltip"] |= {"trigger": "axis"}
    return Chart(
        "progress",
        "The best so far",
        says,
        drawn,
        Table(["trial", run.metric, "epochs", "time"], rows),
        ways,
        300,
    )


def rungs(run: RunSummary) -> Chart:
    """Draw how many trials came to each rung and went on, with the cutoffs."""
    names = [f"epoch {rung.epoch}" for rung in run.rungs]
    stayed = [rung.reached - rung.went_on for rung in run.rungs]
    went = [rung.went_on for rung in run.rungs]
    rows = [[r.epoch, r.reached, r.went_on, _cutoff(r.lowest, r.highest)] for r in run.rungs]
    labels = [
        f"{name}\ncutoff {row[3]}" if row[3] else name
        for name, row in zip(names, rows, strict=True)
    ]
    first, last = run.rungs[0], run.rungs[-1]
    says = (
        f"Of {first.reached} trials that came to epoch {first.epoch}, {last.went_on} went on beyond"
        f" epoch {last.epoch}."
    )
    label = {"show": True, "color": "#fff", "textBorderColor": "#333", "textBorderWidth": 2}
    bar = {"type": "bar", "stack": "all", "barWidth": "70%", "label": label}
    drawn = option(
        legend={"top": 0},
        xAxis=axis("trials", scale=False),
        yAxis={"type": "category", "data": labels, "inverse": True},
        series=[
            bar | {"name": "went on", "data": went, "color": GOOD},
            bar | {"name": "stopped there", "data": stayed, "color": FAINT},
        ],
    )
    table = Table(["epoch", "reached", "went on", f"cutoff of {run.metric}"], rows)
    return Chart("rungs", "Rungs", says, drawn, table, height=110 + 54 * len(names))


def _cutoff(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return ""
    return number(low) if math.isclose(low, high) else f"{number(low)} to {number(high)}"


def importance(found: Importance) -> Chart:
    """Draw how much each hyperparameter mattered, with its interval."""
    names = [each.hyperparameter for each in found.weights]
    ways = {
        f"Sets the best {found.best} apart": _shares([each.top for each in found.weights]),
        "Variance explained": _shares([each.variance for each in found.weights]),
    }
    rows = [[w.hyperparameter, *_ends(w.top), *_ends(w.variance)] for w in found.weights]
    head = ["hyperparameter", "sets apart", "low", "high", "variance", "low", "high"]
    sure = [each.hyperparameter for each in found.weights if each.matters]
    says = (
        f"{', '.join(sure) or 'No hyperparameter'} mattered more than by chance in {found.trials} trials."
        " Whiskers: 95 % intervals."
    )
    bars, whiskers = next(iter(ways.values()))["series"]
    border = {"borderColor": FAINT, "borderWidth": 2}
    drawn = option(
        xAxis=axis("share", min=0, scale=False),
        yAxis={"type": "category", "data": names, "inverse": True},
        series=[
            {"type": "bar", "color": GOOD, "barWidth": "50%"} | bars,
            {"type": "boxplot", "itemStyle": border, "boxWidth": [8, 8]} | whiskers,
        ],
    )
    table, height = Table(head, rows), 110 + 40 * len(names)
    return Chart("importance", "What mattered", says, drawn, table, ways, height)


def _shares(estimates: Sequence[Estimate | None]) -> Option:
    """Return shares as bars, and their intervals as the whiskers of boxes without height."""
    boxes = [[] if e is None else [e.low, e.value, e.value, e.value, e.high] for e in estimates]
    values = [None if e is None else e.value for e in estimates]
    return {"series": [{"id": "value", "data": values}, {"id": "interval", "data": boxes}]}


def _ends(found: Estimate | None) -> tuple[float | None, ...]:
    return (found.value, found.low, found.high) if found else (None, None, None)


def race(run: RunSummary) -> Chart:
    """Draw the finalists' replicates, their means and intervals."""
    names = [each.trial for each in run.finalists]
    boxes = [
        [f.low, f.mean, f.mean, f.mean, f.high] if f.low is not None else [] for f in run.finalists
    ]
    dots = [[score, each.trial] for each in run.finalists for score in each.scores]
    rows = [[f.trial, f.place, len(f.scores), f.mean, f.low, f.high] for f in run.finalists]
    says = (
        f"{len(names)} finalists were trained again with fresh seeds: each point is a replicate, each whisker the"
        f" {run.confidence:.0%} interval of a mean."
    )
    drawn = option(
        xAxis=axis(run.metric),
        yAxis={"type": "category", "data": names, "inverse": True},
        series=[
            {
                "type": "boxplot",
                "name": "mean",
                "data": boxes,
                "boxWidth": [16, 16],
                "itemStyle": {"borderColor": GOOD, "borderWidth": 2},
            },
            {"type": "scatter", "name": "replicate", "data": dots, "symbolSize": 9, "color": BAD},
        ],
    )
    head = ["configuration", "place", "replicates", "mean", "low", "high"]
    return Chart(
        "race",
        "The race of the finalists",
        says,
        drawn,
        Table(head, rows),
        height=110 + 44 * len(names),
    )


def rounds(run: RunSummary) -> Chart:
    """Draw where each round's ranges lay within the first one's."""
    moves = [move for move in run.rounds if move.low is not None and move.high is not None]
    names = list(dict.fromkeys(move.hyperparameter for move in moves))
    numbers = sorted({move.round for move in moves})
    series: list[Option] = []
    for place, each in enumerate(numbers):
        of = {m.hyperparameter: m for m in moves if m.round == each}
        base = [of[name].low if name in of else 0 for name in names]
        span = [max(0.004, (of[n].high or 0) - (of[n].low or 0)) if n in of else 0 for n in names]
        stack = {"type": "bar", "stack": f"round {each}"}
        clear = {"itemStyle": {"color": "transparent", "decal": {"symbol": "none"}}, "silent": True}
        series += [
            stack | clear | {"data": base},
            stack | {"name": f"round {each}", "data": span, "color": SERIES[place % len(SERIES)]},
        ]
    says = "Where the range of each hyperparameter lay in each round: 0 and 1 are the ends of the search space's."
    drawn = option(
        legend={"top": 0, "data": [f"round {each}" for each in numbers]},
        xAxis=axis("place in the first range", min=0, max=1),
        yAxis={"type": "category", "data": names, "inverse": True},
        series=series,
    )
    rows = [[m.round, m.hyperparameter, m.move, m.before, m.now, m.why] for m in run.rounds]
    head = ["round", "hyperparameter", "move", "before", "now", "why"]
    return Chart("rounds", "Rounds", says, drawn, Table(head, rows), height=110 + 50 * len(names))


def time_spent(spent: TimeSpent) -> Chart:
    """Draw what the workers' seconds went into."""
    parts = {
        "training": spent.training,
        "beginning or resuming trials": spent.starting,
        "the rest": spent.rest,
    }
    total = sum(parts.values()) or 1.0
    says = (
        f"{spent.workers} worker{'s' * (spent.workers != 1)} trained for {spent.training / total:.0%} of their time."
        " The rest: starting workers, waiting, examining the winner."
    )
    bar = {"type": "bar", "stack": "all", "barWidth": 34}
    drawn = option(
        legend={"top": 0},
        xAxis=axis("seconds of all workers", scale=False, max=round(total, 1)),
        yAxis={"type": "category", "data": [""], "show": False},
        series=[
            bar | {"name": name, "data": [round(seconds, 2)], "color": colour}
            for (name, seconds), colour in zip(parts.items(), (GOOD, SERIES[4], FAINT), strict=True)
        ],
    )
    rows = [[name, seconds, f"{seconds / total:.1%}"] for name, seconds in parts.items()]
    return Chart(
        "time",
        "Where the time went",
        says,
        drawn,
        Table(["what", "seconds", "share"], rows),
        height=150,
    )
