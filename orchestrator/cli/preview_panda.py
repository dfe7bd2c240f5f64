"""What a panda would do: its start, its days, what is scheduled, who watches, what it costs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from orchestrator.cli.preview_space import count, space_lines
from orchestrator.domains.space import without_companions
from orchestrator.experiment.preview import Preview
from orchestrator.redaction import redact
from orchestrator.report.formatting import assignments, chosen, printable
from orchestrator.search import Nursery

_SITTER = {
    "off": "off; it says nothing",
    "advise": "advise; it says what it would do, and changes nothing",
    "act": "act; it goes back and lowers the learning rate by itself",
}


def panda_lines(seen: Preview, nursery: Nursery, width: int) -> Iterator[str]:
    """Yield a panda's figures in at most ``width`` columns."""
    yield from _start(seen, width)
    if seen.space.names:
        yield "\nRanges: what it may be set to without --force"
        yield from space_lines(seen.space, width)
    yield from _days(nursery, width)
    yield from _schedule(nursery, width)
    yield from _watched(seen, nursery, width)
    yield _cost(seen, nursery)


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
    yield f"\nSchedule: {count(len(nursery.schedule), 'change')}, by the epochs finished by then"
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
            then = f"day 1 starts with {rate}, as start says; what it finds is said"
        yield from _wrapped(f"Learning-rate test: before day 1; {then}", width)


def _cost(seen: Preview, nursery: Nursery) -> str:
    what = count(nursery.epochs, "epoch") if nursery.epochs else f"{nursery.days} x {nursery.day}"
    again = ", and what is trained anew after going back" if nursery.sitter.mode == "act" else ""
    return f"\nCost: one model, {what}{again}"


def _wrapped(text: str, width: int) -> Iterator[str]:
    first, *more = textwrap.wrap(
        redact(text.strip("\n")), width, subsequent_indent="  ", break_on_hyphens=False
    )
    yield f"\n{first}" if text.startswith("\n") else first
    yield from more
