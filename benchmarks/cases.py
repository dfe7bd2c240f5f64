"""What every contestant is given: the same rows, the same space, the same model, the same epochs.

The space is written once, here. Ours reads it as an inline `search_space`; each peer turns it into
its own words. β (momentum) is drawn through 1-β, log-uniform, by all of them.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
SEED = 0
LETTERS = f"{ROOT / 'benchmarks' / 'letters.py'}:load"


@dataclass(frozen=True)
class Parameter:
    """One hyperparameter: its bounds (log, integer: both included), its options, or its value."""

    name: str
    kind: Literal["log", "integer", "choice", "fixed"]
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Case:
    """Data, model and space of one comparison."""

    name: str
    data: str
    model: str
    space: tuple[Parameter, ...]

    def document(self) -> dict[str, Any]:
        """Return the space as an experiment file holds it."""
        return dict(_short_form(parameter) for parameter in self.space)


_OPTIMIZER = (
    Parameter("learning_rate", "log", (1e-3, 1.0)),
    Parameter("one_minus_momentum", "log", (1e-3, 1e-1)),
    Parameter("batch_size", "choice", (32, 64, 128, 256)),
)
_REST = (
    Parameter("hidden_layers", "integer", (1, 3)),
    Parameter("learning_rate_decay", "choice", (0.0, 0.01, 0.1)),
    Parameter("batch_norm_momentum", "fixed", (0.9,)),
)
CASES = {
    case.name: case
    for case in (
        Case(
            "digits-mlp",
            data="digits",
            model="mlp",
            space=(*_OPTIMIZER, Parameter("units", "choice", (32, 64, 128)), *_REST),
        ),
        Case(
            "mnist5k-cnn",
            data="mnist5k",
            model="cnn",
            space=(*_OPTIMIZER, Parameter("filters", "choice", (8, 16, 32)), *_REST),
        ),
        Case(
            "letters-mlp",
            data=LETTERS,
            model="mlp",
            space=(*_OPTIMIZER, Parameter("units", "choice", (32, 64, 128)), *_REST),
        ),
        Case(
            "letters-wide",  # epochs of seconds, in which nobody can be many times as fast
            data=LETTERS,
            model="mlp",
            space=(*_OPTIMIZER, Parameter("units", "choice", (512, 768, 1024)), *_REST),
        ),
    )
}


def _short_form(parameter: Parameter) -> tuple[str, Any]:
    """Return name and domain in the experiment file's words."""
    low, high = parameter.values[0], parameter.values[-1]
    if parameter.name == "one_minus_momentum":
        return "momentum", f"one_minus_loguniform({1 - high}, {1 - low})"
    if parameter.kind == "log":
        return parameter.name, f"loguniform({low}, {high})"
    if parameter.kind == "integer":
        return parameter.name, f"integer({low}, {high})"
    if parameter.kind == "choice":
        return parameter.name, f"choice({list(parameter.values)})"
    return parameter.name, low


def write_split(case: Case, path: Path) -> Path:
    """Write the arrays of the project's own split, scaled, to one .npz file that the peers read."""
    sys.path.insert(0, str(ROOT))  # a checkout need not be installed to be measured
    from orchestrator.catalog import find_data
    from orchestrator.config import DataOptions
    from orchestrator.data import load_dataset

    options = DataOptions(source=case.data)
    dataset = load_dataset(find_data(case.data, ROOT), options, SEED)
    train, validation = dataset.train, dataset.validation
    np.savez(
        path, x_train=train.x, y_train=train.y, x_validation=validation.x, y_validation=validation.y
    )
    return path


def read_split(path: Path) -> dict[str, np.ndarray]:
    """Return x_train, y_train, x_validation, y_validation."""
    with np.load(path) as arrays:
        return dict(arrays)


def compiled_model(case: Case, drawn: Mapping[str, Any], data: Mapping[str, np.ndarray]) -> Any:
    """Return the case's Keras model, compiled as our trainer would for these hyperparameters."""
    import keras

    hp = dict(drawn)
    hp["momentum"] = 1 - hp["one_minus_momentum"]
    steps = math.ceil(len(data["x_train"]) / hp["batch_size"])
    # α = α₀ / (1 + decay · epoch)
    rate = keras.optimizers.schedules.InverseTimeDecay(
        hp["learning_rate"],
        decay_steps=steps,
        decay_rate=hp["learning_rate_decay"],
        staircase=True,
    )
    classes = int(data["y_train"].max()) + 1
    model = _builder(case.model)(hp, data["x_train"].shape[1:], classes)
    model.compile(
        optimizer=keras.optimizers.SGD(rate, momentum=hp["momentum"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def _builder(name: str) -> Any:
    """Return the `build` of models/<name>.py, loaded by location."""
    spec = importlib.util.spec_from_file_location(f"_case_{name}", ROOT / "models" / f"{name}.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.build


def limit_threads(threads: int) -> None:
    """Hold TensorFlow to ``threads``; before its first operation."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
