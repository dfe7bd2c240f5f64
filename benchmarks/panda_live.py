"""What a change on a live model costs: traces, and the time of the epochs after it."""

from __future__ import annotations

import statistics
import time
from typing import Any

from panda_contest import HYPERPARAMETERS

from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch

CHANGES = (
    {"learning_rate": 0.02, "momentum": 0.8},
    {"learning_rate": 0.05, "momentum": 0.9},
)


def live_cost(trainer: Trainer, rounds: int, epochs: int) -> dict[str, Any]:
    """Return how many traces live changes made, and quartiles of (epoch time after / before).

    Of every two rounds one changes nothing between its halves: what that ratio scatters by is noise. Each time is
    the median of ``epochs`` epochs.
    """
    trainer.begin({**HYPERPARAMETERS, **CHANGES[-1]}, 0)
    _median_seconds(trainer, epochs)
    programs, traces = trainer.programs.traced, traces_of(trainer)
    ratios: dict[bool, list[float]] = {True: [], False: []}
    first = []
    for at in range(2 * rounds):
        changes = at % 2 == 0
        before = _median_seconds(trainer, epochs)
        if changes:
            trainer.change(CHANGES[at // 2 % 2])
            first.append(_seconds(trainer) / before)
        ratios[changes].append(_median_seconds(trainer, epochs) / before)
    for size in (32, 128, 64):
        trainer.change({"batch_size": size})
        train_epoch(trainer)
    return {
        "changes": rounds + 3,
        "new_programs": trainer.programs.traced - programs,
        "new_traces": traces_of(trainer) - traces,
        "epochs_a_half": epochs,
        "median_epoch_seconds": _median_seconds(trainer, epochs),
        "ratio_changed": statistics.quantiles(ratios[True]),
        "ratio_unchanged": statistics.quantiles(ratios[False]),
        "ratio_first_epoch": statistics.quantiles(first),
    }


def traces_of(trainer: Trainer) -> int:
    """Return how often the current program's loops were traced."""
    program: Any = trainer.backend.program  # type: ignore[attr-defined]
    loops = (program._train, program._evaluate, program._recalibrate)
    return sum(loop.experimental_get_tracing_count() for loop in loops)


def _seconds(trainer: Trainer) -> float:
    start = time.perf_counter()
    train_epoch(trainer)
    return time.perf_counter() - start


def _median_seconds(trainer: Trainer, epochs: int) -> float:
    return statistics.median([_seconds(trainer) for _ in range(epochs)])


def lines(cost: dict[str, Any]) -> list[str]:
    """Return the cost in words."""
    told = [
        f"- {cost['changes']} live changes (α and β; the last three the batch size):"
        f" {cost['new_programs']} new programs, {cost['new_traces']} new traces",
        f"- a median epoch takes {1000 * cost['median_epoch_seconds']:.1f} ms;"
        f" {cost['epochs_a_half']} epochs on each side of a change",
    ]
    for name, what in (
        ("ratio_changed", "epoch time after / before a change"),
        ("ratio_first_epoch", "the first epoch after a change / before"),
        ("ratio_unchanged", "the same where nothing was changed"),
    ):
        low, middle, high = cost[name]
        told.append(f"- {what}: {middle:.3f} (quartiles {low:.3f} to {high:.3f})")
    return told
