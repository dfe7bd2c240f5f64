"""Runs made up in memory: trials with the hyperparameters of a real space, and curves that a function draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.domains import Space
from orchestrator.records import RunFolder, RunRecords, TrialEnd, TrialStarted, trial_name

SPACE = {
    "learning_rate": "loguniform(1e-4, 1)",
    "momentum": "one_minus_loguniform(0.9, 0.999)",
    "batch_size": "choice([32, 64, 128, 256])",
    "units": "choice([32, 64, 128])",
    "hidden_layers": "integer(1, 3)",
}
TIME = "2026-11-05T10:00:00.000+00:00"
Curve = Callable[[Mapping[str, Any], np.random.Generator], Mapping[str, list[float]]]


def place(space: Space, hyperparameters: Mapping[str, Any], name: str) -> float:
    """Where a value lies on its scale, 0 to 1."""
    return space.domains[name].to_unit(hyperparameters[name])


def made(
    curve: Curve,
    trials: int = 40,
    space: Mapping[str, Any] = SPACE,
    seed: int = 0,
    manifest: Mapping[str, Any] | None = None,
    **experiment: Any,
) -> RunRecords:
    """A finished caviar; a trial diverged where its curve ends with NaN, else it was stopped or finished."""
    drawn = Space.parse(space)
    random = np.random.default_rng(seed)
    content = {
        "name": "made",
        "model": "mlp",
        "data": {"source": "digits"},
        "search_space": dict(space),
        "strategy": "caviar",
        "metric": "val_accuracy",
        "mode": "max",
        "epochs": 9,
        "caviar": {"num_samples": trials, "scheduler": {"none": {}}},
        **experiment,
    }
    lines: list[TrialStarted | TrialEnd] = []
    epochs: list[Any] = []
    for index in range(trials):
        name, hyperparameters = trial_name(index), drawn.draw(seed, index)
        curves = curve(hyperparameters, random)
        count = max(map(len, curves.values()))
        lines.append(TrialStarted(name, index, index, hyperparameters, TIME))
        for at in range(count):
            metrics = {metric: values[at] for metric, values in curves.items()}
            epochs.append({"trial": name, "epoch": at + 1, "metrics": metrics, "seconds": 0.1})
        last = next(iter(curves.values()))[-1]
        ending = "finished" if count >= content["epochs"] else "stopped"
        lines.append(TrialEnd(name, "diverged" if math.isnan(last) else ending, 1.0, time=TIME))
    facts = {"data": {"rows": {"train": 1000, "validation": 300}}, **(manifest or {})}
    folder = RunFolder(Path("runs/made"))
    return RunRecords(folder, content, facts, tuple(lines), tuple(epochs), ())


def learning(best: float, epochs: int = 9, half: float = 0.8) -> list[float]:
    """A curve that comes to its best quickly: what is missing shrinks by ``half`` of an e-fold an epoch and more."""
    return [best * (1 - 0.6 * math.exp(-at / half)) for at in range(epochs)]
