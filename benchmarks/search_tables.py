"""The tables of curves that searches are compared on: those that are shipped, and made-up ones of other shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.catalog import find_space
from orchestrator.domains import Space
from orchestrator.simulation import CurveTable, curves_of, read_columns

FOLDER = Path(__file__).parent / "tables"
CONFIGURATIONS = 300
EPOCHS = 27
METRIC = "val_accuracy"


def space() -> Space:
    """Return the space that all tables are of: models/mlp.py's, BatchNormalization and softmax."""
    return find_space("mlp", Path())


def shipped() -> dict[str, Path]:
    """Return the recorded tables by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.parquet"))}


def names() -> list[str]:
    """Return all tables' names, the recorded ones first."""
    return [*shipped(), *SHAPES]


def table(name: str) -> CurveTable:
    """Return a table by its name, or from a file."""
    if name in SHAPES:
        return made_up(name)
    file = shipped().get(name, Path(name))
    return curves_of(read_columns(file), str(file), space(), METRIC)


def made_up(shape: str, configurations: int = CONFIGURATIONS) -> CurveTable:
    """Return a table of the mlp space whose curves have a shape; the same each time."""
    drawn = [space().draw(1, index) for index in range(configurations)]
    generator = np.random.default_rng([7, list(SHAPES).index(shape)])
    rows = [
        {"config": str(number), "epoch": epoch + 1, METRIC: value, "seconds": 1.0, **values}
        for number, values in enumerate(drawn)
        for epoch, value in enumerate(SHAPES[shape](values, generator))
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return curves_of(columns, shape, space(), METRIC)


def _log_step(values: Mapping[str, Any]) -> float:
    """Return the decimal logarithm of the effective step: the rate, momentum and batch size together."""
    batch = values["batch_size"] / 64
    return float(np.log10(values["learning_rate"] / (values["one_minus_momentum"] * batch)))


def _quality(values: Mapping[str, Any], best_step: float) -> float:
    """Return the accuracy in the end: best at one effective step, a little better with more units and layers."""
    off = (_log_step(values) - best_step) / 1.2
    size = 0.01 * np.log2(values["units"] / 32) + 0.005 * values["hidden_layers"]
    decay = 0.01 * (values["learning_rate_decay"] == 0.01)
    return float(0.85 - 0.5 * (1 - np.exp(-0.5 * off**2)) + size + decay)


def _rise(end: float, slowness: float) -> np.ndarray:
    epochs = np.arange(1, EPOCHS + 1)
    return np.asarray(0.1 + (end - 0.1) * (1 - np.exp(-epochs / slowness)))


def noisy(values: Mapping[str, Any], generator: np.random.Generator) -> np.ndarray:
    """Curves like the recorded ones, each epoch's validation with a standard error of 0.02."""
    curve = _rise(_quality(values, 0.5), 4.0)
    return np.clip(curve + generator.normal(0, 0.02, EPOCHS), 0, 1)


def late_bloomers(values: Mapping[str, Any], generator: np.random.Generator) -> np.ndarray:
    """Small steps are better in the end and slower: early ranks mislead."""
    slowness = np.clip(4 * 10 ** (-0.25 * (_log_step(values) - 0.5)), 1, 12)
    curve = _rise(_quality(values, -0.3), float(slowness))
    return np.clip(curve + generator.normal(0, 0.004, EPOCHS), 0, 1)


def diverging(values: Mapping[str, Any], generator: np.random.Generator) -> np.ndarray:
    """Where steps are large, curves end in NaN after a few epochs; the best lie close to that edge."""
    step = _log_step(values)
    curve = np.clip(_rise(_quality(values, 0.9), 3.0) + generator.normal(0, 0.005, EPOCHS), 0, 1)
    if step <= 1.2:
        return curve
    lives = int(generator.integers(1, 8))
    return np.append(curve[:lives] * 0.8, np.nan)


Shape = Callable[[Mapping[str, Any], np.random.Generator], np.ndarray]
SHAPES: dict[str, Shape] = {
    "noisy": noisy,
    "late-bloomers": late_bloomers,
    "diverging": diverging,
}
