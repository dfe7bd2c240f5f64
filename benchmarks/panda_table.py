"""Rows of single trainings in; a table of at most 80 columns, paired differences and bars out."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

SITTER = "sitter, test"
ALONE = "sitter"
FAR = ("too large", "too small")
LEVELS = (0.95, 0.99)
COLUMNS = ("start", "contestant", "95 %", "99 %", "to 95 %", "test", "worst", "epochs")
LOST = -2.0
"""A mean paired difference this many standard errors below zero is a loss."""

Row = Mapping[str, Any]


def summaries(rows: Sequence[Row], reference: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return one summary of the seeds for each start and contestant, in the rows' order.

    ``reference`` holds the good α's median ``test_accuracy`` and its median best ``val_accuracy``. A run that
    never had 95 % of the latter took infinitely many epochs to it, and the median says so.
    """
    groups = dict.fromkeys((row["start"], row["contestant"]) for row in rows)
    return [
        _summary(_of(rows, start, contestant), start, contestant, reference)
        for start, contestant in groups
    ]


def _of(rows: Iterable[Row], start: str, contestant: str) -> list[Row]:
    return [row for row in rows if (row["start"], row["contestant"]) == (start, contestant)]


def _summary(
    group: Sequence[Row], start: str, contestant: str, reference: Mapping[str, float]
) -> dict[str, Any]:
    tests = [row["test_accuracy"] for row in group]
    return {
        "start": start,
        "contestant": contestant,
        "learning_rate": group[0]["learning_rate"],
        "runs": len(group),
        "shares": [share(tests, level * reference["test_accuracy"]) for level in LEVELS],
        "epochs_to_level": statistics.median([_number(row["epochs_to_level"]) for row in group]),
        "test_accuracy": statistics.median(tests),
        "worst": min(tests),
        "epochs": statistics.median([row["epochs"] for row in group]),
        "epochs_of_all": sum(row["epochs"] for row in group),
    }


def share(values: Sequence[float], level: float) -> float:
    """Return the share of ``values`` that are at ``level`` at least."""
    return sum(value >= level for value in values) / len(values)


def _number(epochs: float | None) -> float:
    return math.inf if epochs is None else epochs


def table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the lines of the table, padded so that it reads as text too."""
    rows = [COLUMNS, *(_cells(each) for each in found)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    lines = [_line(row, widths) for row in rows]
    rule = [f"{'-' * (width - 1)}{':' if at > 1 else '-'}" for at, width in enumerate(widths)]
    return [lines[0], _line(rule, widths), *lines[1:]]


def _cells(each: Mapping[str, Any]) -> tuple[str, ...]:
    reached = each["epochs_to_level"]
    return (
        f"{each['start']}",
        each["contestant"],
        *(f"{100 * value:.0f}" for value in each["shares"]),
        f"{reached:.1f}" if math.isfinite(reached) else "never",
        f"{each['test_accuracy']:.4f}",
        f"{each['worst']:.4f}",
        f"{each['epochs']:.1f}",
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if at > 1 else cell.ljust(width)
        for at, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "| " + " | ".join(padded) + " |"


def difference(
    rows: Sequence[Row], start: str, ours: str, theirs: str
) -> tuple[float, float] | None:
    """Return the mean over seeds of test accuracy, ours less theirs, and its standard error; None if not both ran."""
    mine, others = (
        {row["seed"]: row["test_accuracy"] for row in _of(rows, start, contestant)}
        for contestant in (ours, theirs)
    )
    seeds = mine.keys() & others.keys()
    if len(seeds) < 2:
        return None
    differences = [mine[seed] - others[seed] for seed in sorted(seeds)]
    return statistics.mean(differences), statistics.stdev(differences) / math.sqrt(len(seeds))


def verdicts(rows: Sequence[Row], found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one line for each start, sitter and peer: by how much it won or lost, and whether that meets the bar.

    The bar: from a start that is far off, a larger share at 95 %; from another, test accuracy that is not below
    the peer's by more than two standard errors.
    """
    shares = {(each["start"], each["contestant"]): each["shares"][0] for each in found}
    sitters = [name for name in (SITTER, ALONE) if any(name == who for _, who in shares)]
    peers = dict.fromkeys(name for _, name in shares if name not in sitters)
    starts = dict.fromkeys(start for start, _ in shares)
    lines = []
    for start, ours, peer in itertools.product(starts, sitters, peers):
        told = difference(rows, start, ours, peer)
        if told is None:
            continue
        mean, error = told
        won = shares[start, ours] - shares[start, peer]
        met = won > 0 if start in FAR else mean >= LOST * error
        lines.append(
            f"- {'met' if met else 'MISSED'}: {start}, {ours} less {peer}: {100 * won:+.0f} % of the runs"
            f" at 95 %, test accuracy {mean:+.4f} ± {error:.4f}"
        )
    return lines
