"""One panda on the digits, driven in this process: the worker's session and the driver's records, without Ray."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from orchestrator.catalog import CallableReference, find_data
from orchestrator.config import parse_experiment
from orchestrator.data import Dataset, load_dataset
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from tests.training.panda.life import Life

MLP = CallableReference("bundled", "mlp", "build", "mlp")
START = {
    "learning_rate": 0.05, "momentum": 0.9, "hidden_layers": 1, "units": 16, "batch_size": 64,
    "dropout": 0.2, "learning_rate_decay": 0.1,
}  # fmt: skip


@pytest.fixture(scope="session")
def digits() -> Dataset:
    experiment = parse_experiment({"name": "d", "model": "mlp", "data": "digits",
                                   "strategy": "panda", "panda": {"start": START}})  # fmt: skip
    return load_dataset(find_data("digits", Path()), experiment.data, 0)


@pytest.fixture(scope="session")
def trainer(digits: Dataset) -> Trainer:
    """One warm trainer for all pandas here: nothing of one may reach another."""
    return Trainer(TrainingTask(MLP, digits, epochs=20))


@pytest.fixture
def panda(tmp_path: Path, trainer: Trainer) -> Callable[..., Life]:
    """`panda(name="life", **options of panda)`: a panda before its first epoch."""

    def born(name: str = "life", start: dict[str, Any] | None = None, **options: Any) -> Life:
        options = {"day": "2 epochs", "days": 9, "sitter": "off"} | options
        if "from" not in options:
            options["start"] = START | (start or {})
        return Life.begun(tmp_path / "runs", trainer, {"name": name, "panda": options})

    return born


@pytest.fixture
def panda_of(tmp_path: Path, digits: Dataset) -> Callable[..., Life]:
    """`panda_of("def build(hp, input_shape, num_classes): ...")`: a panda of a user's own model."""

    def born(source: str, **options: Any) -> Life:
        file = tmp_path / "net.py"
        file.write_text("import keras\nfrom keras import layers\n" + textwrap.dedent(source))
        reference = CallableReference("file", str(file), "build", "./net.py")
        own = Trainer(TrainingTask(reference, digits, epochs=20))
        start = {"learning_rate": 0.05}
        options = {"day": "2 epochs", "days": 9, "sitter": "off", "start": start} | options
        return Life.begun(tmp_path / "runs", own, {"name": "own", "panda": options})

    return born


@pytest.fixture
def same() -> Callable[[Any, Any], None]:
    """`same(a, b)`: two states are equal to the last bit."""

    def check(left: Any, right: Any) -> None:
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            np.testing.assert_array_equal(a, b)

    return check
