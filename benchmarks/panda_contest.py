"""One model's training from one α, by each contestant: the same rows, initial weights and epochs.

What a contestant trained and threw away counts: a `Run`'s epochs are all that were ever trained, and
a range test's batches as the share of an epoch that they are.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from cases import ROOT, SEED

from orchestrator.catalog import find_data, find_model
from orchestrator.config import DataOptions, SitterOptions
from orchestrator.config.limits import Duration
from orchestrator.data import load_dataset
from orchestrator.search import Nursery, TrialSpec
from orchestrator.sitter import learning_rates
from orchestrator.training.live_keras import LiveKeras
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.trials import Checkpoint, Progress, StateStore, load_checkpoint
from orchestrator.trials.judging import Objective, finite
from orchestrator.trials.panda.day_cycle import train_epoch
from orchestrator.trials.panda.session import PandaSession

EPOCHS = 30
METRIC = "val_accuracy"
HYPERPARAMETERS: dict[str, Any] = {
    "hidden_layers": 2,
    "units": 128,
    "optimizer": "sgd",
    "momentum": 0.9,
    "batch_size": 64,
    "batch_norm_momentum": 0.9,  # written out, so that every contestant has the same
}
PATIENCE = 3
FACTOR = 0.2  # of the example in ReduceLROnPlateau's documentation; its default is 0.1
STOPPING_PATIENCE = 9  # the sitter too stops at its third plateau of three days
EVALUATION_BATCH = 1024


@dataclass(frozen=True)
class Run:
    """What one training came to.

    ``curve`` holds (epochs trained by then, validation accuracy) of every epoch trained; ``done``
    what the contestant did by itself and after how many of them.
    """

    test_accuracy: float
    epochs: float
    curve: tuple[tuple[float, float], ...]
    done: tuple[tuple[float, str], ...] = ()

    def epochs_to(self, level: float) -> float:
        """Return after how many epochs validation first had ``level``; infinity if never."""
        return next((epochs for epochs, value in self.curve if value >= level), math.inf)

    @property
    def best(self) -> float:
        """Return the best validation accuracy; 0 where there is none."""
        return max((value for _, value in self.curve if finite(value)), default=0.0)


Contestant = Callable[[float, int], Run]


class Nursing:
    """The contestants, on one warm trainer and one compiled Keras model."""

    def __init__(self) -> None:
        dataset = load_dataset(find_data("mnist5k", ROOT), DataOptions(source="mnist5k"), SEED)
        self.data: Any = dataset
        self.trainer = Trainer(TrainingTask(find_model("mlp", ROOT), dataset, EPOCHS))
        self._stock: Any = None

    @property
    def contestants(self) -> Mapping[str, Contestant]:
        """Return who is compared, by name."""
        return {
            "sitter, test": lambda alpha, seed: self.babysat(alpha, seed, test=True),
            "sitter": lambda alpha, seed: self.babysat(alpha, seed, test=False),
            "Keras, loss": lambda alpha, seed: self.callbacks(alpha, seed, "val_loss"),
            "Keras, acc": lambda alpha, seed: self.callbacks(alpha, seed, "val_accuracy"),
        }

    def constant(self, alpha: float, seed: int) -> Run:
        """Train at α to the end; the best epoch by validation is tested."""
        trainer = self.trainer
        trainer.begin({**HYPERPARAMETERS, "learning_rate": alpha}, seed)
        curve: list[tuple[float, float]] = []
        best: Checkpoint = trainer.checkpoint({})
        for epoch in range(1, EPOCHS + 1):
            value = train_epoch(trainer)[METRIC]
            if value > max((seen for _, seen in curve), default=-math.inf):
                best = trainer.checkpoint({})
            curve.append((float(epoch), value))
        trainer.restore(best)
        return Run(trainer.backend.evaluate("test")["accuracy"], float(EPOCHS), tuple(curve))

    def babysat(self, alpha: float, seed: int, *, test: bool) -> Run:
        """Train a panda of one epoch a day with a sitter that acts, until its epochs are spent."""
        nursery = Nursery(Duration(1, "epoch"), EPOCHS, SitterOptions(mode="act"), test, None)
        spec = TrialSpec("panda", 0, seed, {**HYPERPARAMETERS, "learning_rate": alpha})
        with tempfile.TemporaryDirectory(prefix="panda-") as folder:
            checkpoints = Path(folder) / "checkpoints"
            checkpoints.mkdir()
            objective = Objective(METRIC, "max", frozenset(), checkpoints)
            session = PandaSession(
                LiveKeras(self.trainer, spec.trial, objective.metric), spec, nursery, objective
            )
            return self._until_spent(session, StateStore(checkpoints).best("panda"), test=test)

    def _until_spent(self, session: PandaSession, best: Path, *, test: bool) -> Run:
        """Advance epoch by epoch; what is rolled back is spent all the same."""
        trainer, progress = self.trainer, Progress()
        spent = 0.0
        curve: list[tuple[float, float]] = []
        done: list[tuple[float, str]] = []
        while not progress.done and spent + 1 <= EPOCHS:
            progress = Progress()
            session.advance(progress, 0.0)
            if test and not curve:
                spent += len(learning_rates()) / trainer.steps_per_epoch
            for row in progress.rows:
                spent += 1
                curve.append((spent, row["metrics"][METRIC]))
            done += [(spent, text) for entry in progress.journal if (text := _told(entry))]
        if best.exists():
            trainer.resume(load_checkpoint(best))
        else:  # never a validation accuracy
            trainer.begin(session.panda.spec.hyperparameters, session.panda.spec.seed)
        accuracy = trainer.backend.evaluate("test")["accuracy"]
        return Run(accuracy, spent, tuple(curve), tuple(done))

    def callbacks(self, alpha: float, seed: int, monitor: str) -> Run:
        """Train by `fit` under ReduceLROnPlateau and EarlyStopping."""
        model = self._fresh(alpha, seed)
        reduce = keras.callbacks.ReduceLROnPlateau(monitor, factor=FACTOR, patience=PATIENCE)
        stop = keras.callbacks.EarlyStopping(
            monitor, patience=STOPPING_PATIENCE, restore_best_weights=True
        )
        train, validation, test = self.data.train, self.data.validation, self.data.test
        told = model.fit(
            train.x,
            train.y,
            batch_size=HYPERPARAMETERS["batch_size"],
            epochs=EPOCHS,
            validation_data=(validation.x, validation.y),
            validation_batch_size=EVALUATION_BATCH,
            callbacks=[reduce, stop],
            verbose=0,
        ).history
        values = told[METRIC]
        score = model.evaluate(
            test.x, test.y, batch_size=EVALUATION_BATCH, verbose=0, return_dict=True
        )
        rates = told["learning_rate"]
        done = [
            (float(at), f"α {old:.3g} -> {new:.3g}")
            for at, (old, new) in enumerate(pairwise(rates), 1)
            if new != old
        ]
        if len(values) < EPOCHS:
            done.append((float(len(values)), "stop"))
        curve = tuple((float(epoch), value) for epoch, value in enumerate(values, 1))
        return Run(score["accuracy"], float(len(values)), curve, tuple(done))

    def _fresh(self, alpha: float, seed: int) -> Any:
        """Return the stock model with a seed's initial weights; it is traced once for all runs."""
        hyperparameters = {**HYPERPARAMETERS, "learning_rate": alpha}
        self.trainer.begin(hyperparameters, seed)
        weights = self.trainer.backend.compiled.model.get_weights()
        if self._stock is None:
            build = find_model("mlp", ROOT).load()
            self._stock = build(hyperparameters, self.data.input_shape, self.data.num_classes)
            self._stock.compile(
                keras.optimizers.SGD(alpha, momentum=HYPERPARAMETERS["momentum"]),
                loss="sparse_categorical_crossentropy",
                metrics=["accuracy"],
                steps_per_execution=self.trainer.steps_per_epoch,
            )
        model, optimizer = self._stock, self._stock.optimizer
        model.set_weights(weights)
        for variable in optimizer.variables:
            variable.assign(tf.zeros_like(variable))
        optimizer.learning_rate.assign(alpha)
        tf.random.set_seed(seed)  # the batches' order
        return model


def _told(entry: Mapping[str, Any]) -> str | None:
    """Return what the sitter did, in a few words; None for any other entry of the journal."""
    if entry["kind"] == "verdict":
        return "stop"
    if entry["kind"] != "applied":
        return None
    rule = str(entry["by"]).removeprefix("sitter:")
    if entry["action"] == "rollback":
        return f"{rule}: back to day {entry['to_day']}"
    old, new = entry["changes"]["learning_rate"]
    return f"{rule}: α {old:.3g} -> {new:.3g}"
