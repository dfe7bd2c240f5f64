"""What an experiment would do, as text: its space, draws and cost; a panda's days, schedule and watch."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterator

from orchestrator.domains import Prior, Space
from orchestrator.domains.acceptance import acceptance
from orchestrator.domains.space import without_companions
from orchestrator.domains.values import Condition
from orchestrator.experiment.preview import Preview
from orchestrator.redaction import redact
from orchestrator.report import draws_table
from orchestrator.report.formatting import assignments, chosen, printable
from orchestrator.report.render import text_table
from orchestrator.search import Nursery
from orchestrator.search.finalists import FEWEST_TRIALS
from orchestrator.search.rounds import CoarseToFine
from orchestrator.tuning.machine import available_cores, visible_gpus

DRAWS = 10


def preview_text(seen: Preview, width: int) -> str:
    """Return space, draws, rungs and cost, or a panda's start, days and sitter, in at most ``width`` columns."""
    if seen.plan.nursery is not None:
        return "\n".join([*_head(seen, width), *panda_lines(seen, seen.plan.nursery, width)])
    space = f"\nSpace: {count(len(seen.space.names), 'hyperparameter')}{_combinations(seen)}"
    parts = (
        _head(seen, width),
        [space, *space_lines(seen.space, width)],
        _constraints(seen, width),
        _rounds(seen, width),
        _draws(seen, width),
        _costs(seen, width),
    )
    return "\n".join(line for part in parts for line in part)


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


def _combinations(seen: Preview) -> str:
    """Return how many combinations there are, in a space or of its values that a searcher takes."""
    has = seen.plan.searcher.at_most(seen.space, 0)
    if has is None:
        return ""
    most = "at most " if seen.space.constraints else ""
    trials = seen.plan.most_trials
    tried = f", {trials:,} of them tried" if trials < has else ""
    return f"; {most}{count(has, 'combination')}{tried}"


def _constraints(seen: Preview, width: int) -> Iterator[str]:
    if not seen.space.constraints:
        return
    share = acceptance(seen.space, seen.experiment.seed).share
    yield f"\nConstraints: {share:.1%} of all draws fulfil them; the others are drawn again"
    for constraint in seen.space.constraints:
        yield from _wrapped(f"  {constraint}", width)


def _rounds(seen: Preview, width: int) -> Iterator[str]:
    rounds = seen.plan.rounds
    if not isinstance(rounds, CoarseToFine):
        return
    sizes = ", ".join(map(str, rounds.sizes))
    text = (
        f"\nRounds: {rounds.number}, of {sizes} trials; each later space follows from the trials before,"
        f" and {rounds.share_of_whole:.0%} of its trials come from the whole space"
    )
    yield from _wrapped(text, width)


def _draws(seen: Preview, width: int) -> Iterator[str]:
    planned = seen.plan.most_trials
    shown = min(DRAWS, seen.plan.num_trials, planned)
    points = min(len(seen.plan.points), seen.plan.num_trials)
    if points:
        source = seen.prepared.points_from
        text = (
            f"\nPoints: the first {count(points, 'trial')}, {source}; what they leave out is drawn"
        )
        yield from _wrapped(text, width)
    yield f"\nDraws: the first {shown} of {planned}, seed {seen.experiment.seed}"
    yield text_table(draws_table(seen.space, seen.draws(shown)), width).rstrip("\n")


def _costs(seen: Preview, width: int) -> Iterator[str]:
    plan, forecast = seen.plan, seen.forecast
    if forecast.rungs:
        yield "\nRungs: about how many trials reach each, and how many of them go on"
        yield "  epoch    reach    go on"
        for rung in forecast.rungs:
            yield f"  {rung.epoch:>5}  {rung.reaching:>7.0f}  {rung.going_on:>7.0f}"
        yield f"  {plan.epochs:>5}  {forecast.rungs[-1].going_on:>7.0f}      end"
    yield f"\nCost: {count(plan.most_trials, 'trial')}, {_at_once(seen)}"
    yield f"  at most   {forecast.epochs_at_most:>9,} epochs"
    if forecast.remark:
        yield from _expected(seen)
    if finalists := _finalists(seen):
        yield from textwrap.wrap(f"  finalists {finalists}", width, subsequent_indent=" " * 12)


def _expected(seen: Preview) -> Iterator[str]:
    forecast = seen.forecast
    if forecast.epochs_expected is None:
        yield f"  expected  fewer: {forecast.remark}"
    else:
        share = forecast.epochs_expected / forecast.epochs_at_most
        expected = f"{forecast.epochs_expected:>9,.0f} epochs ({share:.0%})"
        yield f"  expected  {expected}: {forecast.remark}"


def _finalists(seen: Preview) -> str:
    """Return what a race between the best may cost on top; empty where there is none."""
    options, forecast = seen.plan.finalists, seen.forecast
    if options is None:
        return ""
    epochs, who = (
        seen.plan.epochs,
        f"the best {options.top} again, with up to {options.seeds} seeds",
    )
    fewest = 4 * epochs
    most = min(int(options.budget * forecast.epochs_at_most), options.top * options.seeds * epochs)
    if most < fewest or (options.race == "auto" and seen.plan.most_trials < FEWEST_TRIALS):
        return (
            ""
            if options.race == "auto"
            else f"none: budget {options.budget:.0%} is too little for two of them with two seeds"
        )
    likely = forecast.epochs_expected
    rarely = likely is not None and options.budget * likely < fewest
    when = f"; only if budget {options.budget:.0%} of the search suffices" if rarely else ""
    return f"at most {most:,} epochs more: {who}{when}"


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


_SITTER = {
    "off": "off; it says nothing",
    "advise": "advise; it says what it would do, but changes nothing",
    "act": "act; it rolls back and lowers the learning rate by itself",
}


def panda_lines(seen: Preview, nursery: Nursery, width: int) -> Iterator[str]:
    """Yield a panda's figures in at most ``width`` columns."""
    yield from _start(seen, width)
    if seen.space.names:
        yield "\nRanges: values that can be set without --force"
        yield from space_lines(seen.space, width)
        yield from (
            line for each in seen.space.constraints for line in _wrapped(f"  {each}", width)
        )
    yield from _days(nursery, width)
    yield from _schedule(nursery, width)
    yield from _watched(seen, nursery, width)
    yield from _wrapped(_cost(seen, nursery), width)


def _start(seen: Preview, width: int) -> Iterator[str]:
    [spec] = seen.plan.points
    start = without_companions(spec.hyperparameters)
    head = f"\nStart: {count(len(start), 'hyperparameter')}"
    if spec.origin is not None:
        origin = spec.origin
        head += f" and the weights of trial {origin['trial']}, epoch {origin['epoch']}, of {origin['run']}"
    yield from _wrapped(head, width)
    margin = max((len(name) for name in start), default=0)
    for name, value in start.items():
        yield from _wrapped(f"  {name:<{margin}}  {chosen(value)}", width)


def _days(nursery: Nursery, width: int) -> Iterator[str]:
    epochs = nursery.epochs
    total = f", {count(epochs, 'epoch')} in all" if epochs is not None else ""
    if nursery.day.unit not in ("epoch", "step"):
        total = "; a day ends with the epoch in which its time runs out"
    kept = "every day's end is kept"
    if nursery.keep_days is not None:
        kept = f"the ends of the last {count(nursery.keep_days, 'day')} are kept"
    yield from _wrapped(f"\nDays: {nursery.days} of {nursery.day}{total}; {kept}", width)


def _schedule(nursery: Nursery, width: int) -> Iterator[str]:
    if not nursery.schedule:
        return
    yield f"\nSchedule: {count(len(nursery.schedule), 'change')}, each after that many finished epochs"
    for epoch, changes in nursery.schedule:
        never = nursery.epochs is not None and epoch >= nursery.epochs
        note = f" (never: it ends with epoch {nursery.epochs})" if never else ""
        text = f"epoch {epoch:<4} {assignments(changes)}{note}"
        yield from textwrap.wrap(
            printable(text), width, initial_indent="  ", subsequent_indent=" " * 13
        )


def _watched(seen: Preview, nursery: Nursery, width: int) -> Iterator[str]:
    options = nursery.sitter
    text = f"\nSitter: {_SITTER[options.mode]}"
    if options.mode != "off":
        text += f"; a plateau is {count(options.patience, 'day')} without a gain"
    yield from _wrapped(text, width)
    if nursery.learning_rate_test:
        if nursery.uses_tested_rate:
            then = "day 1 starts with the rate that it finds"
        else:
            rate = seen.plan.points[0].hyperparameters["learning_rate"]
            then = f"day 1 starts with {rate}, as start says; the rate found is only reported"
        yield from _wrapped(f"Learning-rate test: before day 1; {then}", width)


def _cost(seen: Preview, nursery: Nursery) -> str:
    what = count(nursery.epochs, "epoch") if nursery.epochs else f"{nursery.days} x {nursery.day}"
    again = (
        ", plus whatever is trained again after rollbacks" if nursery.sitter.mode == "act" else ""
    )
    return f"\nCost: one model, {what}{again}"


def _wrapped(text: str, width: int) -> Iterator[str]:
    first, *more = textwrap.wrap(
        redact(text.strip("\n")), width, subsequent_indent="  ", break_on_hyphens=False
    )
    yield f"\n{first}" if text.startswith("\n") else first
    yield from more


def space_lines(space: Space, width: int) -> Iterator[str]:
    """Yield a hyperparameter a line, its domain beside it, and more lines where that is long."""
    margin = max((len(name) for name in space.names), default=0)
    for name, domain in space.domains.items():
        when = f"  when {_conditions(domain.when)}" if domain.when else ""
        yield from textwrap.wrap(
            redact(f"{name:<{margin}}  {domain}{_belief(domain.prior)}{when}"),
            width,
            initial_indent="  ",
            subsequent_indent=" " * (margin + 6),
            break_on_hyphens=False,
        )


def _belief(prior: Prior | None) -> str:
    return f"  prior {chosen(prior.value)}, confidence {prior.confidence}" if prior else ""


def _conditions(conditions: tuple[Condition, ...]) -> str:
    return " and ".join(
        f"{condition.name} is {' or '.join(str(value) for value in condition.values)}"
        for condition in conditions
    )


def count(number: int, noun: str) -> str:
    """Return ``1 day`` or ``3 days``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
