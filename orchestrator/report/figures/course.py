"""The figures of how a search got to its best, as of the page: its progress, rungs, race, rounds, and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from orchestrator.analysis import Estimate
from orchestrator.report.figures.canvas import (
    LINES,
    MARKERS,
    WIDTH,
    Drawing,
    canvas,
    entitle,
    legend,
    said,
    score_scale,
)
from orchestrator.report.formatting import number
from orchestrator.report.html.charts.chart import BAD, FAINT, GOOD, SERIES
from orchestrator.report.pareto import Tradeoff, tradeoffs
from orchestrator.report.run_summary import RunSummary

HATCHES = ("", "///", "...", "\\\\\\", "xxx", "+++")


def best_so_far(runs: Sequence[RunSummary], x: str) -> Drawing | None:
    """Draw the best value so far of each run against the epochs of all its trials, or the seconds."""
    known = [run for run in runs if run.progress]
    if not known:
        return None
    metric = known[0].metric
    with canvas(height=3.4) as figure:
        axes = figure.add_subplot()
        for place, run in enumerate(known):
            axes.step(
                [each.seconds if x == "seconds" else each.epochs for each in run.progress],
                [each.value for each in run.progress],
                where="post",
                color=GOOD if len(known) == 1 else SERIES[place % len(SERIES)],
                linestyle=LINES[place % 3],
                marker=MARKERS[place % len(MARKERS)],
                markersize=4,
                label=said(run.name),
                linewidth=2,
            )
        score_scale(axes, [each.value for run in known for each in run.progress])
        axes.set_xlabel("seconds" if x == "seconds" else "epochs of all trials")
        axes.set_ylabel(f"best {said(metric)}")
        if len(known) > 1:
            legend(axes)
        return entitle(figure, "The best so far")


def _bars(rows: int, inches: float = 0.42) -> Any:
    """Return a canvas for so many rows of bars."""
    return canvas(WIDTH, 1.3 + inches * rows)


def _rows(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [said(name, 32) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")


def rungs(run: RunSummary) -> Drawing | None:
    """Draw how many trials came to each rung and went on, with the cutoffs."""
    if not run.rungs:
        return None
    with _bars(len(run.rungs), 0.55) as figure:
        axes = figure.add_subplot()
        places = range(len(run.rungs))
        went = [rung.went_on for rung in run.rungs]
        stayed = [rung.reached - rung.went_on for rung in run.rungs]
        bars = axes.barh(places, went, 0.7, color=GOOD, label="went on")
        axes.bar_label(
            bars, [str(each) if each else "" for each in went], label_type="center", color="white"
        )
        look: dict[str, Any] = {"color": "#d3d7dd", "hatch": HATCHES[1], "edgecolor": FAINT}
        bars = axes.barh(places, stayed, 0.7, left=went, label="stopped there", **look)
        backed = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
        axes.bar_label(
            bars,
            [str(each) if each else "" for each in stayed],
            label_type="center",
            bbox=backed,
            color="black",
        )
        names = []
        for rung in run.rungs:
            low, high = rung.lowest, rung.highest
            ends = dict.fromkeys(number(value) for value in (low, high) if value is not None)
            names.append(f"epoch {rung.epoch}" + (f", cutoff {' to '.join(ends)}" if ends else ""))
        _rows(axes, names)
        axes.set_xlabel("trials")
        legend(axes)
        return entitle(figure, "Rungs")


def importance(run: RunSummary) -> Drawing | None:
    """Draw how much each hyperparameter mattered, with 95 % intervals, by both measures."""
    found = run.importance
    if found is None or not found.weights:
        return None
    with _bars(len(found.weights), 0.5) as figure:
        axes = figure.add_subplot()
        measures: dict[str, list[Estimate | None]] = {
            f"sets the best {found.best} apart": [each.top for each in found.weights],
            "variance explained": [each.variance for each in found.weights],
        }
        for place, (name, estimates) in enumerate(measures.items()):
            _whiskers(axes, name, estimates, place)
        _rows(axes, [each.hyperparameter for each in found.weights])
        axes.set_xlim(left=0)
        axes.set_xlabel("share, with 95 % interval")
        legend(axes)
        return entitle(figure, "What mattered")


def _whiskers(axes: Axes, name: str, estimates: Sequence[Estimate | None], place: int) -> None:
    known = [(at, each) for at, each in enumerate(estimates) if each is not None]
    if not known:
        return
    heights = [at + (place - 0.5) * 0.36 for at, _ in known]
    values = [each.value for _, each in known]
    off = [
        [max(0.0, each.value - each.low) for _, each in known],
        [max(0.0, each.high - each.value) for _, each in known],
    ]
    axes.barh(
        heights, values, 0.34, xerr=off, label=name, color=(GOOD, "#d3d7dd")[place], hatch=HATCHES[place],
        edgecolor="#5a6472", error_kw={"ecolor": "#333a45", "elinewidth": 1.2, "capsize": 2.5},
    )  # fmt: skip


def race(run: RunSummary) -> Drawing | None:
    """Draw the finalists' replicates, their means and intervals."""
    if not run.finalists:
        return None
    with _bars(len(run.finalists)) as figure:
        axes = figure.add_subplot()
        for place, each in enumerate(run.finalists):
            once = {"label": "replicate"} if place == 0 else {}
            axes.plot(
                each.scores,
                [place] * len(each.scores),
                "^",
                color=BAD,
                markersize=6,
                alpha=0.8,
                **once,
            )
            if each.low is None or each.high is None:
                continue
            off = [[max(0.0, each.mean - each.low)], [max(0.0, each.high - each.mean)]]
            once = {"label": f"mean, {run.confidence:.0%} interval"} if place == 0 else {}
            axes.errorbar(
                each.mean, place, xerr=off, fmt="D", color=GOOD, capsize=5, linewidth=2, **once
            )
        _rows(axes, [f"{each.trial} {each.place}".strip() for each in run.finalists])
        axes.set_xlabel(said(run.metric))
        legend(axes)
        return entitle(figure, "The race of the finalists")


def rounds(run: RunSummary) -> Drawing | None:
    """Draw where each round's ranges lay within the first one's."""
    moves = [move for move in run.rounds if move.low is not None and move.high is not None]
    if not moves:
        return None
    names = list(dict.fromkeys(move.hyperparameter for move in moves))
    numbers = sorted({move.round for move in moves})
    thick = 0.8 / len(numbers)
    with _bars(len(names), 0.3 + 0.22 * len(numbers)) as figure:
        axes = figure.add_subplot()
        for place, each in enumerate(numbers):
            of = [move for move in moves if move.round == each]
            axes.barh(
                [names.index(m.hyperparameter) - 0.4 + thick * (place + 0.5) for m in of],
                [max(0.004, (m.high or 0.0) - (m.low or 0.0)) for m in of],
                thick * 0.9,
                left=[m.low or 0.0 for m in of],
                color=SERIES[place % len(SERIES)],
                hatch=HATCHES[place % len(HATCHES)],
                edgecolor="white",
                label=f"round {each}",
            )
        _rows(axes, names)
        axes.set_xlim(0, 1)
        axes.set_xlabel("place in the first range")
        legend(axes)
        return entitle(figure, "Rounds")


def time_spent(run: RunSummary) -> Drawing | None:
    """Draw what the workers' seconds went into."""
    if run.time is None:
        return None
    spent = {
        "training": run.time.training,
        "beginning or resuming": run.time.starting,
        "the rest": run.time.rest,
    }
    with canvas(WIDTH, 1.8) as figure:
        axes = figure.add_subplot()
        left = 0.0
        for place, (name, seconds) in enumerate(spent.items()):
            look: dict[str, Any] = {
                "color": (GOOD, SERIES[4], "#d3d7dd")[place],
                "hatch": HATCHES[place],
                "edgecolor": "white",
            }
            axes.barh([0], [seconds], 0.6, left=left, label=name, **look)
            left += seconds
        axes.set_yticks([])
        axes.set_xlim(0, left or 1.0)
        axes.set_xlabel(f"seconds of {run.time.workers} worker{'s' * (run.time.workers != 1)}")
        legend(axes)
        return entitle(figure, "Where the time went")


def pareto(run: RunSummary, x: str | None) -> Drawing | None:
    """Draw the score against each of what it costs, or one of them, with the trials that no other one beats in both."""
    found = [each for each in tradeoffs(run) if x in (None, each.cost)]
    if not found:
        return None
    across = min(2, len(found))
    down = -(-len(found) // across)
    with canvas(WIDTH if across > 1 else 5.0, 0.6 + 3.0 * down) as figure:
        for place, each in enumerate(found, 1):
            _tradeoff(figure.add_subplot(down, across, place), each, run.metric)
        return entitle(figure, "What a better score costs")


def _tradeoff(axes: Axes, found: Tradeoff, metric: str) -> None:
    rest = found.beaten
    axes.scatter([o.cost for o in rest], [o.score for o in rest], s=14, color=FAINT, alpha=0.6)
    axes.step(
        [o.cost for o in found.front],
        [o.score for o in found.front],
        "D--",
        where="post",
        color=BAD,
        markersize=6,
    )
    costs = [offer.cost for offer in found.offers]
    score_scale(axes, costs, along="x")
    if found.mode == "max":
        axes.invert_xaxis()
    axes.set(xlabel=said(found.cost), ylabel=said(metric))
