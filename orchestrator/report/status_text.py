"""Runs' states, in a few lines or a table of text; without pandas, since it is asked often."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from datetime import UTC, datetime

from orchestrator.records.status import RunStatus
from orchestrator.report.formatting import clock, minute, number, printable

_GIB = 2**30
_HEAD = ("run", "state", "since", "trials", "epochs", "best", "heartbeat")


def status_lines(status: RunStatus, name: str, width: int = 80) -> list[str]:
    """Return one run's state, driver and progress, and what to type next; ``name`` is what it is called there."""
    lines = [f"{printable(status.run)}: {status.state}{_since(status)}"]
    if status.reason:
        lines += _wrapped(status.reason, width)
    if status.damage:
        lines += _wrapped(f"damaged and left out: {status.damage}", width)
    if status.pid is not None:
        lines.append(f"  driver: {_driver(status)}")
    if status.epochs is not None:
        lines += _wrapped(f"progress: {_progress(status)}", width)
    if status.worked_seconds is not None and status.free_bytes is not None:
        free = f"{status.free_bytes / _GIB:.1f} GiB free"
        lines.append(f"  worked: {clock(status.worked_seconds)}; disk: {free}")
    return [*lines, *_wrapped(f"next: {next_step(status, name)}", width)]


def next_step(status: RunStatus, name: str) -> str:
    """Return what someone who asked how a run stands would do next."""
    resume = f"orchestrator resume {name}"
    match status.state:
        case "interrupted" | "finished" if status.damage:
            return f"orchestrator repair {name}"
        case "interrupted":
            return f"{resume} continues it"
        case "stuck":
            return f"see whether process {status.pid} on {status.host} is doing anything; if not, end it, then {resume}"
        case "paused" if (status.reason or "").startswith("asked to"):
            return f"orchestrator continue {name}"
        case "paused":
            return "it continues by itself when that is over"
        case "damaged":
            return f"orchestrator repair {name}"
        case "finished":
            return f"orchestrator best {name}"
    return f"orchestrator table {name} shows the trials so far"


def status_table(statuses: Sequence[RunStatus]) -> list[str]:
    """Return one line a run below a head."""
    rows = [_HEAD, *(_row(status) for status in statuses)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    rows.insert(1, tuple("─" * width for width in widths))
    lines = ("  ".join(text.ljust(w) for text, w in zip(row, widths, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def _row(status: RunStatus) -> tuple[str, ...]:
    beat = status.heartbeat_seconds
    return (
        printable(status.run),
        status.state,
        minute(status.since) if status.since else "",
        "" if status.trials is None else f"{status.trials_done}/{status.trials}",
        "" if status.epochs is None else str(status.epochs),
        "" if status.best is None else number(status.best),
        "" if beat is None else f"{clock(beat)} ago",
    )


def _since(status: RunStatus) -> str:
    if not status.since:
        return ""
    ago = (datetime.now(UTC) - datetime.fromisoformat(status.since)).total_seconds()
    return f" since {minute(status.since)} ({clock(max(0.0, ago))})"


def _driver(status: RunStatus) -> str:
    who = f"process {status.pid} on {printable(status.host or '?')}"
    if status.heartbeat_seconds is None:
        return f"none; the last one was {who}"
    return f"{who}, heartbeat {clock(status.heartbeat_seconds)} ago"


def _progress(status: RunStatus) -> str:
    training = f", {status.in_training} in training" if status.in_training else ""
    done = f"{status.trials_done} of {status.trials} trials done{training}, {status.epochs} epochs"
    if status.best is None:
        return done
    return f"{done}; best {status.metric} {number(status.best)}, trial {status.best_trial}"


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def said_name(folder: str, storage: str) -> str:
    """Return what to call a run so that a command finds it: its name in the usual place, else its folder."""
    place, name = os.path.split(folder)
    return name if place == storage == "runs" else folder
