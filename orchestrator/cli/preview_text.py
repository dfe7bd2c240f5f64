"""What an experiment would do, as a page of text."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator

from orchestrator.cli.preview_panda import panda_lines
from orchestrator.cli.preview_space import count, space_lines
from orchestrator.experiment.place import available_cores, visible_gpus
from orchestrator.experiment.preview import Preview
from orchestrator.redaction import redact
from orchestrator.report import draws_table
from orchestrator.report.render import text_table

DRAWS = 10


def preview_text(seen: Preview, width: int) -> str:
    """Return space, draws, rungs and cost, or a panda's start, days and sitter, in at most ``width`` columns."""
    if seen.plan.nursery is not None:
        return "\n".join([*_head(seen, width), *panda_lines(seen, seen.plan.nursery, width)])
    space = f"\nSpace: {count(len(seen.space.names), 'hyperparameter')}"
    parts = [_head(seen, width), [space, *space_lines(seen.space, width)]]
    return "\n".join(line for part in [*parts, _draws(seen, width), _costs(seen)] for line in part)


def _head(seen: Preview, width: int) -> Iterator[str]:
    experiment, nursery = seen.experiment, seen.plan.nursery
    if nursery is None:
        length = f"up to {count(experiment.epochs, 'epoch')} a trial"
    else:
        length = f"{count(nursery.days, 'day')} of {nursery.day}"
    yield from textwrap.wrap(
        redact(
            f"{experiment.name}: {experiment.strategy} of {experiment.described};"
            f" {experiment.metric}, {experiment.mode}; {length}"
        ),
        width,
        subsequent_indent="  ",
    )
    taken = " (exists: run needs another name, --set name=...)" if seen.folder.exists() else ""
    yield f"  folder: {seen.folder}{taken}"
    for sentence in seen.prepared.trials.sentences():
        yield from textwrap.wrap(
            redact(sentence), width, initial_indent="  ", subsequent_indent="    "
        )


def _draws(seen: Preview, width: int) -> Iterator[str]:
    planned = seen.plan.trials_in_all
    shown = min(DRAWS, planned)
    yield f"\nDraws: the first {shown} of {planned}, seed {seen.experiment.seed}"
    yield text_table(draws_table(seen.space, seen.draws(shown)), width).rstrip("\n")


def _costs(seen: Preview) -> Iterator[str]:
    plan, forecast = seen.plan, seen.forecast
    if forecast.rungs:
        yield "\nRungs: about how many trials reach each, and go on as the best there"
        yield "  epoch    reach    go on"
        for rung in forecast.rungs:
            yield f"  {rung.epoch:>5}  {rung.reaching:>7.0f}  {rung.going_on:>7.0f}"
        yield f"  {plan.epochs:>5}  {forecast.rungs[-1].going_on:>7.0f}      end"
    yield f"\nCost: {count(plan.trials_in_all, 'trial')}, {_at_once(seen)}"
    yield f"  at most   {forecast.epochs_at_most:>9,} epochs"
    if not forecast.remark:
        return
    if forecast.epochs_expected is None:
        yield f"  expected  fewer: {forecast.remark}"
    else:
        share = forecast.epochs_expected / forecast.epochs_at_most
        expected = f"{forecast.epochs_expected:>9,.0f} epochs ({share:.0%})"
        yield f"  expected  {expected}: {forecast.remark}"


def _at_once(seen: Preview) -> str:
    plan = seen.plan
    if os.environ.get("RAY_ADDRESS"):
        most = plan.max_concurrent_trials
        return f"at most {most} at a time" if most else "as many at a time as the cluster holds"
    limits = [
        available_cores() / plan.cpus_per_trial,
        plan.max_concurrent_trials or plan.trials_in_all,
    ]
    if plan.gpus_per_trial:
        limits.append(visible_gpus() / plan.gpus_per_trial)
    return f"{max(1, min(int(limit) for limit in limits))} at a time"
