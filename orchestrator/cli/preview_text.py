"""What an experiment would do, as a page of text."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator

from orchestrator.config import MedianOptions
from orchestrator.domains.conditions import Condition
from orchestrator.experiment.prepared import available_cores, visible_gpus
from orchestrator.experiment.preview import Preview
from orchestrator.redaction import redact
from orchestrator.report import draws_table
from orchestrator.report.terminal import text_table

DRAWS = 10


def preview_text(seen: Preview, width: int) -> str:
    """Return space, draws, rungs and cost in at most ``width`` columns."""
    return "\n".join(
        [*_head(seen, width), *_space(seen, width), *_draws(seen, width), *_costs(seen)]
    )


def _head(seen: Preview, width: int) -> Iterator[str]:
    experiment = seen.experiment
    yield from textwrap.wrap(
        redact(
            f"{experiment.name}: {experiment.strategy} of {experiment.model} on"
            f" {experiment.data.source}; {experiment.metric}, {experiment.direction};"
            f" up to {_count(experiment.epochs, 'epoch')} a trial"
        ),
        width,
        subsequent_indent="  ",
    )
    taken = " (exists: run needs another name, --set name=...)" if seen.folder.exists() else ""
    yield f"  folder: {seen.folder}{taken}"


def _space(seen: Preview, width: int) -> Iterator[str]:
    yield f"\nSpace: {_count(len(seen.space.names), 'hyperparameter')}"
    margin = max((len(name) for name in seen.space.names), default=0)
    for name, domain in seen.space.domains.items():
        when = f"  when {_conditions(domain.when)}" if domain.when else ""
        yield from textwrap.wrap(
            redact(f"{name:<{margin}}  {domain}{when}"),
            width,
            initial_indent="  ",
            subsequent_indent=" " * (margin + 6),
            break_on_hyphens=False,
        )
    if seen.unsure:
        yield f"  run will find out whether the model reads {', '.join(seen.unsure)}"


def _draws(seen: Preview, width: int) -> Iterator[str]:
    planned = len(seen.plan.trials)
    shown = min(DRAWS, planned)
    yield f"\nDraws: the first {shown} of {planned}, seed {seen.experiment.seed}"
    yield text_table(draws_table(seen.space, seen.draws(shown)), width).rstrip("\n")


def _costs(seen: Preview) -> Iterator[str]:
    plan, forecast = seen.plan, seen.forecast
    if forecast.rungs:
        yield "\nRungs of ASHA: about how many trials reach each, and go on as the best there"
        yield "  epoch    reach    go on"
        for rung in forecast.rungs:
            yield f"  {rung.epoch:>5}  {rung.reaching:>7.0f}  {rung.going_on:>7.0f}"
        yield f"  {plan.epochs:>5}  {forecast.rungs[-1].going_on:>7.0f}      end"
    yield f"\nCost: {_count(len(plan.trials), 'trial')}, {_at_once(seen)}"
    yield f"  at most   {forecast.epochs_at_most:>9,} epochs"
    if isinstance(plan.scheduler, MedianOptions):
        yield "  expected  fewer: what the median rule stops depends on the curves"
    elif forecast.rungs and forecast.epochs_expected is not None:
        share = forecast.epochs_expected / forecast.epochs_at_most
        expected = f"{forecast.epochs_expected:>9,.0f} epochs ({share:.0%})"
        yield f"  expected  {expected}: ASHA stops most trials early"


def _at_once(seen: Preview) -> str:
    plan = seen.plan
    if os.environ.get("RAY_ADDRESS"):
        most = plan.max_concurrent_trials
        return f"at most {most} at a time" if most else "as many at a time as the cluster holds"
    limits = [
        available_cores() / plan.cpus_per_trial,
        plan.max_concurrent_trials or len(plan.trials),
    ]
    if plan.gpus_per_trial:
        limits.append(visible_gpus() / plan.gpus_per_trial)
    return f"{max(1, min(int(limit) for limit in limits))} at a time"


def _conditions(conditions: tuple[Condition, ...]) -> str:
    return " and ".join(
        f"{condition.name} is {' or '.join(str(value) for value in condition.values)}"
        for condition in conditions
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
