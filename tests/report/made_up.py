"""Runs as their records would be read, made up in memory: no file is written."""

from __future__ import annotations

import math
from pathlib import Path

from orchestrator.records import RunFolder, RunRecords, TrialEnd, TrialStarted, trial_name

SPACE = {
    "learning_rate": "loguniform(1e-4, 1)",
    "momentum": "one_minus_loguniform(0.9, 0.999)",
    "units": "choice([16, 32, 64])",
    "optimizer": "choice([sgd, adam])",
}


def made_up_run(trials: int, epochs: int = 27, **changes: object) -> RunRecords:
    """A caviar on ASHA's rungs, whose trials reach 1, 3, 9 or all epochs as their α/(1-β) is better."""
    lines, rows = [], []
    for index in range(trials):
        trial, place = trial_name(index), index / trials
        rate, rest = 10 ** (-4 * place), 10 ** (-1 - 2 * ((index * 37 % trials) / trials))
        step = math.exp(-((math.log10(rate / rest)) ** 2))
        hyperparameters = {
            "learning_rate": rate,
            "momentum": 1 - rest,
            "one_minus_momentum": rest,
            "units": (16, 32, 64)[index % 3],
            "optimizer": ("sgd", "adam")[index % 2],
        }
        lines.append(TrialStarted(trial, index, index, hyperparameters, time=_time(index)))
        last = next((e for limit, e in ((0.3, 1), (0.6, 3), (0.9, 9)) if step < limit), epochs)
        values = [step * (1 - math.exp(-e / 6)) for e in range(1, last + 1)]
        rows += [_row(trial, epoch, value, index) for epoch, value in enumerate(values, 1)]
        stop = {"scheduler": "asha", "epoch": last, "value": values[-1], "cutoff": values[-1] + 0.1}
        ending = ("stopped", 1.0, stop) if last < epochs else ("finished", 2.0)
        lines.append(TrialEnd(trial, *ending, worker=f"host:{index % 4}", time=_time(index)))
    experiment = {
        "name": "made-up",
        "model": "mlp",
        "data": {"source": "digits"},
        "search_space": SPACE,
        "strategy": "caviar",
        "metric": "val_accuracy",
        "mode": "max",
        "epochs": epochs,
        "caviar": {"num_samples": trials, "scheduler": {"asha": {"promote": False}}},
    } | changes
    events = [
        {"event": event, "time": _time(at)}
        for event, at in (("run_started", 0), ("run_finished", trials))
    ]
    return RunRecords(
        RunFolder(Path("made-up")),
        experiment,
        {"seed": 0},
        tuple(lines),
        tuple(rows),
        tuple(events),
    )


def _row(trial: str, epoch: int, value: float, index: int) -> dict:
    metrics = {"val_accuracy": value, "accuracy": value, "val_loss": 1 - value, "loss": 1 - value}
    return {
        "trial": trial,
        "epoch": epoch,
        "metrics": metrics,
        "seconds": 0.1,
        "time": _time(index),
    }


def _time(second: int) -> str:
    return f"2026-11-29T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000+00:00"
