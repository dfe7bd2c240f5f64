"""One worker's trainer: takes trial after trial, keeping programs warm between them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal
from weakref import WeakKeyDictionary

from orchestrator.training.carrying import carried_state, check_same_weights, keras_optimizer
from orchestrator.training.checkpoint import Checkpoint
from orchestrator.training.compiling import Built, build_model
from orchestrator.training.decay import learning_rate_at
from orchestrator.training.generators import (
    generator_state,
    kept_generator_state,
    set_generator_state,
)
from orchestrator.training.hyperparameters import (
    DEFAULTS,
    LIVE,
    batch_norm_momentum,
    batch_size_of,
)
from orchestrator.training.learner import Epoch, Learner, SplitName, Tensors, Within
from orchestrator.training.optimizers import decays_weights
from orchestrator.training.possible import (
    COMPANION,
    check_possible,
    check_read,
    read_while_training,
)
from orchestrator.training.program import arrays_of, assign_all
from orchestrator.training.programs import PROGRAMS_KEPT, Programs, Slot
from orchestrator.training.reported import canonical_names
from orchestrator.training.task import LearningGoal, TrainingTask


class Trainer:
    """Trains one trial at a time, epoch by epoch; ``begin`` takes the next one in place."""

    def __init__(self, task: TrainingTask, programs_kept: int = PROGRAMS_KEPT) -> None:
        self.task = task
        self._tensors = Tensors(task.dataset)
        self._programs = Programs(task, self._tensors, programs_kept)
        self._slot: Slot | None = None
        self._names: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()
        self.hyperparameters: dict[str, Any] = {}
        self.seed = 0
        self.epoch = 0
        self.within = Within()
        self._reads: frozenset[str] = frozenset()

    def begin(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        """Set up a trial from its seed: a fresh model's variables in a warm program, or a new program."""
        self.hyperparameters = {**DEFAULTS, **hyperparameters}
        self.seed = seed
        self.epoch = 0
        self.within = Within()
        self._slot = None
        self._take(self._build(self.hyperparameters))

    def change(self, changes: Mapping[str, Any]) -> Literal["live", "rebuilt"]:
        """Put new values in force on the model as it stands, its weights kept.

        "live": set in variables, nothing is compiled. "rebuilt": the model was built anew around its weights,
        optimizer slots and averages. Raises as ``check_change`` does; the model is then as it was.
        """
        wanted = {**self.hyperparameters, **changes}
        built = self.check_change(changes)
        if built is None:
            self.hyperparameters = wanted
            self._set_momentum()
            return "live"
        state = carried_state(self.learner.compiled)
        self.hyperparameters = wanted
        self._take(built)
        state.put_into(self.learner.compiled)
        return "rebuilt"

    def check_change(self, changes: Mapping[str, Any]) -> Built | None:
        """Return the model that new values need, None where they are live; the one in training is untouched.

        Raises RequestError for what nothing reads or no training could use, TrialError, naming the layer, where
        weights would change shape.
        """
        wanted = {**self.hyperparameters, **changes}
        for name, value in changes.items():
            check_possible(name, value)
        before = self.learner.compiled
        trained = read_while_training(wanted["optimizer"] if before.optimizer else None)
        names = {name.removeprefix(COMPANION) for name in changes} | changes.keys() & self._reads
        switches = decays_weights(wanted) != decays_weights(self.hyperparameters)
        if names <= LIVE & trained and not names & self._reads and not switches:
            return None
        with kept_generator_state():
            built = self._build(wanted)
        check_read(changes, trained | built.reads.keys())
        check_same_weights(before.model, built.model, changes)
        return built

    def resume(self, checkpoint: Checkpoint) -> None:
        """Begin with a checkpoint's hyperparameters and go on from its state."""
        about = checkpoint.about
        self.begin(about["hyperparameters"], int(about["seed"]))
        self.restore(checkpoint)

    def leave(self) -> None:
        """Have no trial in training until the next one begins; programs stay warm."""
        self._slot = None

    @property
    def traced(self) -> int:
        """Return how many programs were made so far."""
        return self._programs.traced

    @property
    def begun(self) -> bool:
        """Return whether a trial was ever begun."""
        return self._slot is not None

    @property
    def learner(self) -> Learner:
        """Return the current trial's learner."""
        if self._slot is None:
            raise RuntimeError("no trial has begun")
        return self._slot.learner

    @property
    def goal(self) -> LearningGoal:
        """Return what the current trial learns."""
        if self._slot is None:
            raise RuntimeError("no trial has begun")
        return self._slot.goal

    @property
    def path_reason(self) -> str | None:
        """Return why the current trial trains by ``fit``; None for compiled epochs."""
        return self._slot.reason if self._slot else None

    @property
    def parameters(self) -> int:
        """Return the current model's parameter count."""
        return int(self.learner.compiled.model.count_params())

    @property
    def steps_per_epoch(self) -> int:
        """Return the batches of an epoch, a partial one included."""
        return math.ceil(self.task.dataset.train.rows / batch_size_of(self.hyperparameters))

    @property
    def steps(self) -> int:
        """Return the batches trained so far, in all epochs."""
        return self.epoch * self.steps_per_epoch + self.within.steps

    @property
    def validation_rows(self) -> int:
        """Return how many rows a validation has: its noise depends on it."""
        return self.task.dataset.validation.rows

    def train_epoch(self) -> dict[str, float]:
        """Train and validate one epoch; return loss, accuracy, val_loss, val_accuracy, …, learning_rate."""
        metrics = None
        while metrics is None:
            metrics = self.train_part()
        return metrics

    def train_part(self) -> dict[str, float] | None:
        """Train a part of an epoch, a cheap one whole; return what ``train_epoch`` does, None in the middle of it."""
        began = time.perf_counter()
        if not self.within.steps:
            self.within = Within()
            self.put_in_force()
        epoch = Epoch(self.epoch, self.seed, batch_size_of(self.hyperparameters))
        part = self.learner.train(epoch, self.within.steps)
        metrics = None if part.metrics is None else self._finished(part.metrics)
        steps = part.steps if metrics is None else 0
        self.within = Within(steps, self.within.seconds + time.perf_counter() - began)
        return metrics

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return the metrics over a split, each under one name in all trials."""
        return self._named(self.learner.evaluate(split))

    def _named(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return figures without the numbers that Keras gave their names by counting over this process."""
        model = self.learner.compiled.model
        if model not in self._names:
            self._names[model] = canonical_names(model)
        names = self._names[model]
        return {names.get(name, name): value for name, value in metrics.items()}

    def _finished(self, metrics: dict[str, float]) -> dict[str, float]:
        """Validate after an epoch's last step; return all its metrics."""
        if self._recalibrates():
            self.learner.recalibrate()
        validation = self.evaluate("validation")
        rate = self._learning_rate()
        self.epoch += 1
        metrics = self._named(metrics)
        metrics |= {f"val_{name}": value for name, value in validation.items()}
        return metrics if rate is None else {**metrics, "learning_rate": rate}

    def checkpoint(self, about: Mapping[str, Any]) -> Checkpoint:
        """Return the trial's state; ``about`` is kept beside what resuming needs."""
        compiled = self.learner.compiled
        within = {"within_epoch": asdict(self.within)} if self.within.steps else {}
        return Checkpoint(
            arrays_of(compiled.model.variables),
            arrays_of(keras_optimizer(compiled).variables),
            {
                "epoch": self.epoch,
                "seed": self.seed,
                "hyperparameters": self.hyperparameters,
                "generator": generator_state(),
                **within,
                **about,
            },
            self.learner.accumulated() if within else (),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of a trial with the current one's structure."""
        compiled = self.learner.compiled
        self.within = Within(**checkpoint.about.get("within_epoch", {}))
        if self.within.steps:
            self.put_in_force()
            self.learner.go_on(checkpoint.metrics)
        assign_all(compiled.model.variables, checkpoint.model)
        assign_all(keras_optimizer(compiled).variables, checkpoint.optimizer)
        self.seed = int(checkpoint.about["seed"])
        self.epoch = int(checkpoint.about["epoch"])
        set_generator_state(checkpoint.about["generator"])

    def _take(self, built: Built) -> None:
        """Train in the program of a freshly built model from now on."""
        self._slot = self._programs.of(built, self.hyperparameters)
        self._reads = frozenset(built.reads)
        self._set_momentum()

    def _build(self, hyperparameters: Mapping[str, Any]) -> Built:
        task = self.task
        return build_model(task.model, hyperparameters, self.seed, task.shape, task.kind)

    def _recalibrates(self) -> bool:
        asked = self.hyperparameters.get("recalibrate_batch_norm")
        return (
            self.task.recalibrate_every_validation if asked is None else asked == "every_validation"
        )

    def put_in_force(self) -> None:
        """Set the epoch's learning rate and the other live hyperparameters."""
        optimizer, rate = self.learner.compiled.optimizer, self._learning_rate()
        if optimizer is not None:
            optimizer.keras.learning_rate.assign(rate)
            optimizer.set(self.hyperparameters)

    def _learning_rate(self) -> float | None:
        """Return the epoch's learning rate, None where the user's model has its own."""
        if self.learner.compiled.optimizer is None:
            return None
        return learning_rate_at(self.hyperparameters, self.epoch, self.task.epochs)

    def _set_momentum(self) -> None:
        asked = self.hyperparameters.get("batch_norm_momentum")
        self.learner.batch_norm.set(self.followed_momentum() if asked is None else float(asked))

    def followed_momentum(self) -> float:
        """Return the BatchNormalization momentum that follows the current trial's steps per epoch."""
        return batch_norm_momentum(self.steps_per_epoch)
