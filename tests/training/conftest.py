"""Small tasks for one process: no Ray here, and no network larger than a page."""

from __future__ import annotations

import functools
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from orchestrator.catalog import CallableReference
from orchestrator.data import Dataset, Split
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch

MLP = CallableReference("bundled", "mlp", "build", "mlp")


def split(rows: int, seed: int, features: int = 6) -> Split:
    """Three classes that overlap a little, so that no accuracy is 0 or 1."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, rows).astype("int32")
    centres = np.random.default_rng(99).normal(0, 1, (3, features))
    return Split((centres[y] + rng.normal(0, 1.2, (rows, features))).astype("float32"), y)


@pytest.fixture(scope="session")
def data() -> Dataset:
    """150 training rows: with batches of 32 the last one is partial."""
    splits = split(150, 0), split(70, 1), split(50, 2)
    return Dataset(*splits, ("a", "b", "c"), {"how": "none"}, "0" * 64, "made here")


@pytest.fixture(scope="session")
def mlp(data: Dataset) -> TrainingTask:
    return TrainingTask(MLP, data, epochs=3)


@pytest.fixture(scope="session")
def worker(mlp: TrainingTask) -> Trainer:
    """One that is warm, for what does not depend on a fresh one: its programs are traced once."""
    return Trainer(mlp)


def net_in(folder: Path, data: Dataset, source: str, **changes: Any) -> TrainingTask:
    """A user's own file as a task."""
    file = folder / "net.py"
    file.write_text("import keras\nfrom keras import layers\n" + textwrap.dedent(source))
    reference = CallableReference("file", str(file), "build", "./net.py")
    return TrainingTask(**{"model": reference, "dataset": data, "epochs": 3} | changes)


def curve_of(
    trainer: Trainer, hyperparameters: dict[str, Any], seed: int = 1, epochs: int = 2
) -> list[dict[str, float]]:
    """A trial's curve."""
    trainer.begin(hyperparameters, seed)
    return [train_epoch(trainer) for _ in range(epochs)]


def state_of(trainer: Trainer) -> tuple[np.ndarray, ...]:
    """All that a trial's future depends on: the model's variables and the optimizer's."""
    checkpoint = trainer.checkpoint({})
    return (*checkpoint.model, *checkpoint.optimizer)


@pytest.fixture
def net(tmp_path: Path, data: Dataset) -> Callable[..., TrainingTask]:
    """`net("def build(hp, input_shape, num_classes): ...")`: a user's own file as a task."""
    return functools.partial(net_in, tmp_path, data)


@pytest.fixture
def train() -> Callable[..., list[dict[str, float]]]:
    """`train(trainer, hp, seed, epochs)`: the trial's curve."""
    return curve_of


@pytest.fixture
def state() -> Callable[[Trainer], tuple[np.ndarray, ...]]:
    return state_of


@pytest.fixture
def same() -> Callable[..., None]:
    """`same(a, b)`: two states are equal to the last bit, or to a tolerance."""

    def check(left: Any, right: Any, rtol: float = 0.0, atol: float = 0.0) -> None:
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            np.testing.assert_allclose(a, b, rtol=rtol, atol=atol)

    return check
