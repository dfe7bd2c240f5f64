"""The two sides of a contestant's script: outside it is started and measured, inside it tunes.

    python benchmarks/X.py --case digits-mlp --trials 64 --json out.json

The outer side starts the same script again with `--inside FOLDER` and watches that process's tree,
so that start-up, imports and shutdown are counted alike for everyone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import measure
from cases import CASES, Case, write_split

MAX_EPOCHS = 27


@dataclass(frozen=True)
class Task:
    """What one contestant is asked to do."""

    case: Case
    trials: int
    epochs: int
    concurrent: int
    threads: int
    data: Path
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What it did: trials as it counts them, epochs trained in all of them together."""

    trials: int
    epochs: int
    best_val_accuracy: float
    notes: dict[str, Any]


class Failed(Exception):
    """A contestant's process ended badly; the message is the end of its log."""


def main(tune: Callable[[Task], Outcome], *, concurrent: int) -> None:
    """Run a contestant's script; ``concurrent`` is how many trials it trains at once by default."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--case", choices=sorted(CASES), required=True)
    parser.add_argument("--trials", type=int, required=True)
    parser.add_argument("--epochs", type=int, default=MAX_EPOCHS, help="of a trial, at most")
    parser.add_argument("--concurrent", type=int, default=concurrent, help="trials at once")
    parser.add_argument("--data", type=Path, help="a split written by cases.write_split")
    parser.add_argument("--json", type=Path, help="where the figures go, beside stdout")
    parser.add_argument("--timeout", type=float, default=7200.0, metavar="SECONDS")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside is None:
        outside(arguments)
    else:
        inside(tune, arguments)


def inside(tune: Callable[[Task], Outcome], arguments: argparse.Namespace) -> None:
    """Tune, and leave the outcome in the folder."""
    task = Task(
        case=CASES[arguments.case],
        trials=arguments.trials,
        epochs=arguments.epochs,
        concurrent=arguments.concurrent,
        threads=threads_each(arguments.concurrent),
        data=arguments.data,
        folder=arguments.inside,
    )
    outcome = {"concurrent": task.concurrent, "threads": task.threads, **asdict(tune(task))}
    if outcome["trials"] == 0:
        sys.exit("no trial succeeded")
    (task.folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")


def outside(arguments: argparse.Namespace) -> None:
    """Measure this very script and print the figures; exit 1 with its log's end if it failed."""
    with tempfile.TemporaryDirectory() as name:
        data = arguments.data or write_split(CASES[arguments.case], Path(name) / "data.npz")
        try:
            figures = measured(sys.argv, data, timeout_seconds=arguments.timeout)
        except Failed as failure:
            sys.exit(str(failure))
    text = json.dumps(figures, indent=2)
    print(text)
    if arguments.json is not None:
        arguments.json.write_text(text + "\n", encoding="utf-8")


def measured(script: Sequence[str], data: Path, *, timeout_seconds: float) -> dict[str, Any]:
    """Return the figures of one contestant's command, run in a process of its own."""
    # a short path: Ray's socket names must fit into 107 bytes
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        log = folder / "log.txt"
        took = measure.watch(
            [sys.executable, *script, "--data", str(data.resolve()), "--inside", name],
            log,
            timeout_seconds=timeout_seconds,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        if took.exit_code != 0:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            reason = f"exit code {took.exit_code}"
            if took.exit_code == measure.TIMED_OUT:
                reason = f"ended at its time limit of {timeout_seconds:g} s"
            raise Failed("\n".join([*lines[-30:], reason]))
        outcome = json.loads((folder / "outcome.json").read_text(encoding="utf-8"))
    return {**asdict(took), **outcome}


def threads_each(concurrent: int) -> int:
    """Return the threads of one trial: the cores shared among those that train at once."""
    return max(1, available_cores() // concurrent)


def available_cores() -> int:
    """Return the cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
