"""The commands that run a search on recorded learning curves, in virtual time, and what they print."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import RUNS, ExperimentFile, Overrides, RunName, Storage, TextFormat
from orchestrator.cli.output import say, terminal_width

if TYPE_CHECKING:
    from orchestrator.experiment.simulation import Replayed, Simulation, WhatIf
    from orchestrator.simulation import Estimate, Summary

Curves = Annotated[
    Path,
    typer.Option(
        "--table",
        metavar="FILE",
        show_default=False,
        help="A .csv or .parquet file of learning curves: orchestrator table RUN --curves writes one.",
    ),
]
Workers = Annotated[int, typer.Option("--workers", metavar="N", help="Trials trained at once.")]
StartCost = Annotated[
    float, typer.Option("--start-cost", metavar="SECONDS", help="What starting a trial takes.")
]
ResumeCost = Annotated[
    float,
    typer.Option("--resume-cost", metavar="SECONDS", help="What continuing a paused trial takes."),
]
_AS_MEASURED = "Default: as the run measured it."
MeasuredStart = Annotated[
    float | None,
    typer.Option(
        "--start-cost",
        metavar="SECONDS",
        show_default=False,
        help=f"What starting a trial takes. {_AS_MEASURED}",
    ),
]
MeasuredResume = Annotated[
    float | None,
    typer.Option(
        "--resume-cost",
        metavar="SECONDS",
        show_default=False,
        help=f"What continuing a paused trial takes. {_AS_MEASURED}",
    ),
]
Seeds = Annotated[int, typer.Option("--seeds", metavar="N", help="Simulated runs, a seed each.")]
BetweenRows = Annotated[
    str,
    typer.Option(
        "--between",
        metavar="HOW",
        help="rows: a proposal becomes the nearest configuration not used yet. interpolate: it gets a curve between"
        " those of its five nearest.",
    ),
]


def simulate(  # noqa: PLR0913 (a command's parameters are its flags)
    file: ExperimentFile,
    table: Curves,
    overrides: Overrides = None,
    workers: Workers = 1,
    start_cost: StartCost = 0.0,
    resume_cost: ResumeCost = 0.0,
    seeds: Seeds = 20,
    between: BetweenRows = "rows",
    format: TextFormat = "table",
) -> None:
    """Run an experiment's search on recorded learning curves, in virtual time; nothing is trained or written."""
    from orchestrator.experiment import simulate as simulated

    found = simulated(
        file,
        overrides or (),
        table=table,
        workers=workers,
        start_cost=start_cost,
        resume_cost=resume_cost,
        seeds=seeds,
        between=between,
    )
    if format == "json":
        say(json.dumps(found.to_plain(), indent=2, ensure_ascii=False))
    else:
        say("\n".join(simulation_lines(found, terminal_width())))


def whatif(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    overrides: Overrides = None,
    storage: Storage = RUNS,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            show_default=False,
            help="Trials trained at once. Default: as many as the run had.",
        ),
    ] = None,
    start_cost: MeasuredStart = None,
    resume_cost: MeasuredResume = None,
    format: TextFormat = "table",
) -> None:
    """Replay a run's records under changed options: what it would have cost and found, as far as they tell."""
    from orchestrator.experiment import whatif as replayed

    asked = {"workers": workers, "start_cost": start_cost, "resume_cost": resume_cost}
    given = {name: value for name, value in asked.items() if value is not None}
    found = replayed(run, overrides or (), storage, **given)
    if format == "json":
        say(json.dumps(found.to_plain(), indent=2, ensure_ascii=False))
    else:
        say("\n".join(whatif_lines(found, terminal_width())))


def simulation_lines(found: Simulation, width: int) -> Iterator[str]:
    """Yield what simulated runs came to, in at most ``width`` columns."""
    summary, plan = found.summary, found.plan
    costs = summary.costs
    table = f"{summary.table.name}: {len(summary.table):,} configurations of up to {summary.table.longest} epochs"
    yield from _wrapped(f"{found.experiment.name} on {table}", width)
    workers = f"{costs.workers} worker{'s' * (costs.workers != 1)}"
    yield from _wrapped(
        f"{plan.described}; {len(summary.runs)} seeds, {workers}; a start costs {costs.start:g} s,"
        f" a resume {costs.resume:g} s",
        width,
    )
    yield ""
    yield f"A run takes {_interval(summary.seconds)} s and trains {_interval(summary.epochs)} epochs."
    yield f"Best {summary.metric}, median over seeds and where it lies with 95 % confidence:"
    yield ""
    yield from _aligned(_best_rows(summary))
    yield ""
    yield "Time to the best configurations of the table:"
    yield ""
    yield from _aligned(_target_rows(summary))
    yield ""
    ended = ", ".join(f"{count:.1f} {name}" for name, count in summary.endings.items())
    yield from _wrapped(f"Trials of a run, on average: {ended}.", width)
    repeated = summary.mean(lambda run: float(run.repeated))
    if repeated:
        said = "trials of a run had a configuration again, since the table was used up"
        yield from _wrapped(f"{repeated:.1f} {said}.", width)


def _best_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    yield "share", "seconds", "best", "interval"
    for each in summary.bests():
        best = each.best
        between = f"{_number(best.low)} to {_number(best.high)}"
        yield f"{100 * each.share:g} %", f"{each.seconds:.4g}", _number(best.median), between


def _target_rows(summary: Summary) -> Iterator[tuple[str, ...]]:
    yield "percentile", "value", "reached", "seconds", "interval", "epochs"
    for each in summary.targets():
        seconds = each.seconds
        yield (
            f"{100 * each.share:g}th",
            _number(each.value),
            f"{each.reached} of {each.runs}",
            _number(seconds.median),
            f"{_number(seconds.low)} to {_number(seconds.high)}",
            _number(each.epochs.median),
        )


def whatif_lines(found: WhatIf, width: int) -> Iterator[str]:
    """Yield what a run's records say of changed options, and what they cannot, in at most ``width`` columns."""
    costs = found.costs
    workers = f"{costs.workers} worker{'s' * (costs.workers != 1)}"
    changes = ", ".join(found.changes)
    yield from _wrapped(
        f"{found.run}, replayed with {workers}, a start for {costs.start:.3g} s and a resume for"
        f" {costs.resume:.3g} s: {changes}",
        width,
    )
    yield ""
    yield from _aligned(_replay_rows(found))
    yield ""
    for sentence in _not_known(found):
        yield from _wrapped(sentence, width)


def _replay_rows(found: WhatIf) -> Iterator[tuple[str, ...]]:
    before, after = found.recorded, found.changed
    yield "", "as it was", "changed"
    yield "epochs", f"{before.epochs:,}", f"{after.epochs:,}"
    yield "seconds", f"{before.seconds:.4g}", f"{after.seconds:.4g}"
    yield f"best {found.metric}", _number(before.best), _number(after.best)
    for name in sorted({*before.endings, *after.endings} - {"interrupted"}):
        yield name, str(before.endings.get(name, 0)), str(after.endings.get(name, 0))
    yield "not known", str(before.unknown), str(after.unknown)


def _not_known(found: WhatIf) -> Iterator[str]:
    """Yield a sentence for each thing that the records cannot tell."""
    changed = found.changed
    yield from _unknown(changed, found.trials)
    if found.same_trials < found.trials:
        others = found.trials - found.same_trials
        yield (
            f"{others} of {found.trials} trials would have had hyperparameters that the run's had not: each became the"
            " nearest recorded one."
        )
    if found.without_records:
        yield f"{found.without_records} trials beyond the recorded ones are left out: there are no curves for them."


def _unknown(changed: Replayed, trials: int) -> Iterator[str]:
    if not changed.unknown:
        yield "Every trial's epochs are in the records: nothing is left unknown."
        return
    yield (
        f"{changed.unknown} of {trials} trials were to go on where their records end (up to"
        f" {changed.epochs_unknown:,} further epochs): what they would have reached, and what others would then have"
        " been held against, is not known. The changed run would have trained more epochs than stand above, and its"
        " best value could be better."
    )


def _interval(found: Estimate) -> str:
    if found.low == found.high:
        return _number(found.median)
    return f"{_number(found.median)} ({_number(found.low)} to {_number(found.high)})"


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "-"
    return "never" if math.isinf(value) else f"{value:.4g}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ", break_long_words=False)


def _aligned(rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows as columns: the first to the left, the others to the right."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *others in cells:
        rest = (f"{text:>{width}}" for text, width in zip(others, widths[1:], strict=True))
        yield "  ".join([f"  {first:<{widths[0]}}", *rest])
