"""The same trial by the orchestrator, from the experiment file on. What it changes inside is followed here alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from orchestrator.config import Experiment, load_experiment, parse_experiment
from orchestrator.experiment.kinds import keras_experiment
from orchestrator.experiment.prepared import prepare
from orchestrator.records import RunFolder
from orchestrator.training import backend, trial_process
from orchestrator.training.saved_model import load_model
from orchestrator.training.saving import save_model
from orchestrator.training.state_transfer import finalise
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_process import Seen, Setup, TrialProcess
from orchestrator.trials import load_checkpoint, save_checkpoint
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.parity.case import SEED, Case, Trained, Trial


def experiment_of(case: Case, place: Path) -> Experiment:
    """Return the case's experiment: a file of its own, or what is written here around its two functions."""
    if case.experiment:
        changes = [f"{name}={value}" for name, value in case.more.items()]
        return load_experiment(place / case.experiment, [f"storage_path={place}/runs", *changes])
    functions = (reference.partition(":")[2] for reference in (case.model, case.data))
    model, data = (
        f"./{file}:{function}" for file, function in zip(case.files, functions, strict=True)
    )
    document = {
        "name": "exam",
        "model": model,
        "data": {"source": data, "scale": "none"},
        "epochs": case.epochs,
        "seed": SEED,
        "metric": "val_loss",
        "mode": "min",
        "search_space": case.hyperparameters,
        "caviar": {"num_samples": 1, "scheduler": "none"},
        "storage_path": str(place / "runs"),
    }
    return parse_experiment({**document, **case.more}).at(place)


class Ours:
    """An experiment prepared as ``orchestrator run`` prepares it, short of starting Ray."""

    def __init__(self, case: Case, place: Path) -> None:
        with built_here():
            prepared = prepare(experiment_of(case, place))
        self.task = prepared.job(RunFolder(place / "runs")).task
        spec = next(prepared.plan.draws())
        self.trial = Trial({"batch_size": 64, **spec.hyperparameters}, spec.seed, self.task.epochs)

    @property
    def outputs(self) -> int:
        """What the builder is given as its third argument."""
        return self.task.dataset.num_classes

    def rows(self, x: Any) -> dict[str, Any]:
        """Return which of the user's rows are in which split, found by their content."""
        numbers = {content: row for row, content in enumerate(_contents(x))}
        return {
            part: np.array([numbers[content] for content in _contents(getattr(self.task.dataset, part).x)])
            for part in ("train", "validation", "test")
        }  # fmt: skip

    def trainer(self) -> Trainer:
        """Return a fresh worker's trainer."""
        return Trainer(self.task)

    def train(self, trainer: Trainer) -> Trained:
        """Train the trial from its seed and return what it gave."""
        trainer.begin(self.trial.hp, self.trial.seed)
        return self.finish(trainer, [])

    def finish(self, trainer: Trainer, curve: list[dict[str, float]]) -> Trained:
        """Train to the last epoch; then as the winner's weights are made before they are examined and saved."""
        more = [train_epoch(trainer) for _ in range(self.trial.epochs - len(curve))]
        finalise(trainer.backend.compiled)
        said = predictions(trainer.backend.compiled.model, self.validation)
        return Trained([*curve, *more], said)

    def before(self, trainer: Trainer, what: str, case: Case, seed: int) -> None:
        """Train another trial: of the same structure, of another, one that diverges, or one that is cut off."""
        hp = {**self.trial.hp, **(case.other if what == "other" else {})}
        trainer.begin(hp, seed)
        if what == "diverged":
            for variable in trainer.backend.compiled.model.trainable_variables:
                variable.assign(variable * 1e30)
        # Keras's sparse updates raise at gradients that are no numbers: then that trial fails, which is one more way.
        with one_step_at_a_time(), suppress(tf.errors.InvalidArgumentError):
            trainer.train_chunk() if what == "cut" else train_epoch(trainer)

    def interrupted(
        self, trainer: Trainer, cut: tuple[int, int], file: Path
    ) -> list[dict[str, float]]:
        """Train so many epochs and then steps, one after another, and keep the state in a file."""
        epochs, steps = cut
        trainer.begin(self.trial.hp, self.trial.seed)
        curve: list[dict[str, float]] = []
        with one_step_at_a_time():
            while len(curve) < min(epochs, self.trial.epochs - 1):
                curve.append(train_epoch(trainer))
            for _ in range(steps):
                row = trainer.train_chunk() if len(curve) < self.trial.epochs else None
                curve += [row] if row is not None else []
        if not trainer.backend.goes_on:
            return []  # a trial whose callbacks may have a memory starts again from its seed
        save_checkpoint(file, trainer.checkpoint({"trial": "00000"}))
        return curve

    def resume(self, trainer: Trainer, file: Path) -> None:
        """Go on from a kept state, in a new process's trainer; from the seed where there is none."""
        if file.exists():
            trainer.resume(load_checkpoint(file))
        else:
            trainer.begin(self.trial.hp, self.trial.seed)

    def saved(self, trainer: Trainer, place: Path, x: Any) -> Any:
        """Save the model as a winner is saved; return what the file, loaded again, gives for a user's own rows."""
        file = place / "model.keras"
        save_model(trainer, file)
        return predictions(load_model(file), x)

    @property
    def validation(self) -> Any:
        """Return the features of the validation rows."""
        return self.task.dataset.validation.x


class BuildsHere(TrialProcess):
    """Builds models in this process, since another one takes seconds to start."""

    def start(self) -> None:
        """There is nothing to start."""
        self._looked: list[Any] = []

    def build(self, setup: Setup, hyperparameters: Mapping[str, Any], seed: int) -> Seen:
        """Build the model of a trial."""
        answer = trial_process._answer(setup, (dict(hyperparameters), seed), self._looked)
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextmanager
def built_here() -> Iterator[None]:
    """Build models in this process before anything starts, and leave nothing of it to the worker."""
    preparing: Any = keras_experiment
    ours, preparing.TrialProcess = preparing.TrialProcess, BuildsHere
    try:
        yield
    finally:
        preparing.TrialProcess = ours
        keras.config.set_dtype_policy("float32")
        for name in [name for name in sys.modules if name.startswith("_orchestrator_file_")]:
            del sys.modules[name]


@contextmanager
def one_step_at_a_time() -> Iterator[None]:
    """Let each chunk of an epoch be one step, so that it is cut wherever it can be."""
    seconds, backend.CHUNK_SECONDS = backend.CHUNK_SECONDS, 0.0
    try:
        yield
    finally:
        backend.CHUNK_SECONDS = seconds


def predictions(model: Any, x: Any) -> Any:
    """Return what a model says of rows; called as it is, since ``predict`` would be traced for each model."""
    return tree.map_structure(np.asarray, model(tree.map_structure(tf.constant, x), training=False))


def _contents(x: Any) -> list[bytes]:
    """Return each row's content, whatever the precision it is kept in."""
    arrays = [np.asarray(array) for array in tree.flatten(x)]
    arrays = [a.astype("float32") if a.dtype == np.float64 else a for a in arrays]
    arrays = [a if a.dtype.kind in "OSU" else a.astype("float64") for a in arrays]
    return [b"|".join(bytes(array[row]) for array in arrays) for row in range(len(arrays[0]))]
