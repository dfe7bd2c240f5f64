"""One worker's trainer: takes trial after trial, keeping programs warm between them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary

from orchestrator.errors import RequestError
from orchestrator.training.backend import (
    Backend,
    Epoch,
    EpochPosition,
    Fitting,
    Slot,
    SplitName,
    Tensors,
)
from orchestrator.training.building import build_model, make_callbacks
from orchestrator.training.decay import learning_rate_at
from orchestrator.training.hyperparameters import (
    COMPANION,
    LIVE,
    RATE_NAMES,
    batch_norm_momentum,
    batch_size_of,
    check_possible,
    check_read,
    read_while_training,
    shaping,
)
from orchestrator.training.keras_backend import RUNS_PYTHON
from orchestrator.training.optimizers import Rate, decays_weights, rate_of, rate_variable
from orchestrator.training.process_state import (
    generator_state,
    kept_generator_state,
    set_generator_state,
    settings_without_trials,
    settle,
)
from orchestrator.training.program_cache import (
    PROGRAMS_KEPT,
    LanePlace,
    ProgramCache,
    in_force,
)
from orchestrator.training.reported import canonical_names
from orchestrator.training.state_transfer import (
    all_built_on,
    build_all_on,
    carried_state,
    check_same_weights,
    keras_optimizer,
    optimizer_variables,
)
from orchestrator.training.task import TrainingTask, recalibration
from orchestrator.training.trial_model import Built, arrays_of, assign_all, fits
from orchestrator.trials import Checkpoint

if TYPE_CHECKING:
    from orchestrator.training.lanes import Lanes


class Trainer:
    """Trains one trial at a time, epoch by epoch; ``begin`` takes the next one in place."""

    def __init__(
        self, task: TrainingTask, programs_kept: int = PROGRAMS_KEPT, lanes: Lanes | None = None
    ) -> None:
        self.task = task
        self.tensors = lanes.tensors if lanes else Tensors(task.dataset)
        place = LanePlace(lanes, self._next_epoch) if lanes else None
        self.programs = ProgramCache(task, self.tensors, programs_kept, place)
        self.slot: Slot | None = None
        self._names: WeakKeyDictionary[Any, dict[str, str]] = WeakKeyDictionary()
        self.given: dict[str, Any] = {}
        self.hyperparameters: dict[str, Any] = {}
        self._rate = Rate()
        self.ended: str | None = None
        self.seed = 0
        self.epoch = 0
        self.position = EpochPosition()
        self._reads: frozenset[str] = frozenset()
        self.shaped_by: frozenset[str] = frozenset()

    def begin(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        """Set up a trial from its seed: a fresh model's variables in a warm program, or a new program."""
        self.given = dict(hyperparameters)
        self.seed = seed
        self.epoch = 0
        self.position = EpochPosition()
        self.leave()
        settle(self.task.model)
        known = None if self.task.callbacks else self.programs.again(self.given, seed)
        self._take(known or self._build(self.given))

    def change(self, changes: Mapping[str, Any]) -> Literal["live", "rebuilt"]:
        """Put new values in force on the model as it stands, its weights kept.

        "live": set in variables, nothing is compiled. "rebuilt": the model was built again around its weights,
        optimizer slots and averages. Raises as ``check_change`` does; the model is then as it was.
        """
        built = self.check_change(changes)
        self.given = {**self.given, **changes}
        if built is None:
            self.hyperparameters = {**self.hyperparameters, **changes}
            self._set_momentum()
            if changes.keys() & RATE_NAMES:
                self._rate.changed()
            return "live"
        self.backend.settle()
        state, rate = carried_state(self.backend.compiled), self._rate
        self.backend.close()
        variable = rate_variable(self._optimizer)
        there = None if variable is None else rate_of(variable)
        self._take(built)
        state.put_into(self.backend.compiled)
        if "learning_rate" not in changes:
            self._rate.go_on_from(rate, there, self._optimizer)
        return "rebuilt"

    def check_change(self, changes: Mapping[str, Any]) -> Built | None:
        """Return the model that new values need, None where they are live; the one in training is untouched.

        Raises RequestError for what nothing reads or no training could use, TrialError, naming the layer, where
        weights would change shape.
        """
        wanted = {**self.hyperparameters, **changes}
        for name, value in changes.items():
            check_possible(name, value)
        before = self.backend.compiled
        trained = read_while_training(
            wanted["optimizer"] if before.optimizer else None, self._rate.why_none is None
        )
        names = {name.removeprefix(COMPANION) for name in changes} | changes.keys() & self._reads
        if self._rate.why_none and names & RATE_NAMES - self._reads:
            expected = "expected a model whose learning rate can be set"
            raise RequestError(
                f"learning_rate: {expected}. Received: one of which {self._rate.why_none}."
            )
        switches = before.optimizer is not None and (
            decays_weights(wanted) != decays_weights(self.hyperparameters)
        )
        if names <= LIVE & trained and not names & self._reads and not switches:
            return None
        with kept_generator_state():
            built = self._build({**self.given, **changes})
        check_read(changes, trained | built.reads.keys())
        check_same_weights(before.model, built.model, changes)
        return built

    def resume(self, checkpoint: Checkpoint) -> None:
        """Begin with a checkpoint's hyperparameters and go on from its state."""
        about = checkpoint.about
        self.begin(about["hyperparameters"], int(about["seed"]))
        self.restore(checkpoint)

    def take_up(self, checkpoint: Checkpoint) -> bool:
        """Go on from a checkpoint where it is all that training depends on; else start again from the seed.

        Returns whether it goes on. A fit of the user's own, a callback, or an operation of TensorFlow's that draws
        numbers, may have a memory that no checkpoint holds.
        """
        about = checkpoint.about
        self.begin(about["hyperparameters"], int(about["seed"]))
        if goes_on := self.backend.goes_on and about.get("goes_on", True):
            self.restore(checkpoint)
        return goes_on

    def leave(self) -> None:
        """End the trial in training, if there is one; programs stay warm."""
        if self.slot is not None:
            self.slot.backend.close()
            settings_without_trials(None).put_back()
        self.slot = None
        self.ended = None

    @property
    def backend(self) -> Backend:
        """Return the current trial's backend."""
        if self.slot is None:
            raise RuntimeError("no trial has begun")
        return self.slot.backend

    @property
    def steps_per_epoch(self) -> int:
        """Return the batches of an epoch, a partial one included."""
        return math.ceil(self.task.dataset.train.rows / batch_size_of(self.hyperparameters))

    def train_chunk(self) -> dict[str, float] | None:
        """Train a chunk of an epoch, a cheap one whole; return the epoch's metrics at its end, None before.

        Those are loss, accuracy, val_loss, val_accuracy, …, learning_rate.
        """
        began = time.perf_counter()
        chunk = self.backend.train(self._next_epoch(), self.position.steps)
        self.ended = chunk.ended
        metrics = None if chunk.metrics is None else self._finished(chunk.metrics, chunk.validation)
        steps = chunk.steps if metrics is None else 0
        seconds = time.perf_counter() - began if chunk.seconds is None else chunk.seconds
        self.position = EpochPosition(steps, self.position.seconds + seconds)
        return metrics

    def _next_epoch(self) -> Epoch:
        """Return the epoch in training, or the next one, whose hyperparameters are put in force."""
        if not self.position.steps:
            self.position = EpochPosition()
            self._put_in_force()
        return Epoch(self.epoch, self.seed, batch_size_of(self.hyperparameters))

    def losses_at(self, rates: Sequence[float]) -> list[float]:
        """Return the training loss of one batch after another, each at its learning rate.

        The model is trained by it: take a checkpoint before and resume from it after. Empty where α cannot be set.
        """
        if self._rate.why_none:
            return []
        self._put_in_force()
        batches = self.backend.batches(self.seed, batch_size_of(self.hyperparameters))
        losses = []
        for rate, batch in zip(rates, batches, strict=False):
            self._rate.put_in_force(rate, self._optimizer)
            losses.append(self.backend.train_on(batch))
        return losses

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return the metrics over a split, each under one name in all trials."""
        return self._named(self.backend.evaluate(split))

    def _named(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return figures without the numbers that Keras gave their names by counting over this process."""
        model = self.backend.compiled.model
        if model not in self._names:
            self._names[model] = canonical_names(model)
        names = self._names[model]
        return {names.get(name, name): value for name, value in metrics.items()}

    def _finished(
        self, metrics: dict[str, float], validation: dict[str, float] | None
    ) -> dict[str, float]:
        """Validate after an epoch's last step, unless that was done; return all its metrics."""
        if recalibration(self.hyperparameters, self.task) == "every_validation":
            self.backend.recalibrate()
            validation = None
        if validation is None:
            validation = self.evaluate("validation")
        rate = self._rate.shown(self._planned_rate(), self._optimizer)
        self.epoch += 1
        metrics = self._named(metrics)
        metrics |= {f"val_{name}": value for name, value in validation.items()}
        return metrics if rate is None else {**metrics, "learning_rate": rate}

    def checkpoint(self, about: Mapping[str, Any]) -> Checkpoint:
        """Return the trial's state; ``about`` is kept beside what resuming needs."""
        self.backend.settle()
        compiled = self.backend.compiled
        within = {"within_epoch": asdict(self.position)} if self.position.steps else {}
        built_on = all_built_on(compiled.model, compiled.others)
        others: dict[str, Any] = {"others_built_on": built_on} if compiled.others else {}
        if not self.backend.goes_on or built_on is None:
            others["goes_on"] = False
        return Checkpoint(
            arrays_of(compiled.model.variables),
            arrays_of(optimizer_variables(compiled, built_on)),
            {
                "epoch": self.epoch,
                "seed": self.seed,
                "hyperparameters": self.given,
                "in_force": self.hyperparameters,
                "rate_in_force": self._rate.in_force,
                "generator": generator_state(),
                **within,
                **others,
                **about,
            },
            self.backend.accumulated() if within else (),
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of a trial with the current one's structure."""
        compiled = self.backend.compiled
        self.position = EpochPosition(**checkpoint.about.get("within_epoch", {}))
        # Steps that Python runs: a model's first one draws from its generator once more.
        if self.position.steps or RUNS_PYTHON:
            self._put_in_force()
            self.backend.go_on(checkpoint.metrics)
        assign_all(compiled.model.variables, checkpoint.model)
        built_on = checkpoint.about.get("others_built_on") or ()
        build_all_on(compiled.model, compiled.others[: len(built_on)], built_on)
        slots = optimizer_variables(compiled, built_on)
        if self.backend.goes_on or fits(slots, checkpoint.optimizer):
            assign_all(slots, checkpoint.optimizer)
        self.seed = int(checkpoint.about["seed"])
        self.epoch = int(checkpoint.about["epoch"])
        self._rate.in_force = checkpoint.about.get("rate_in_force")
        set_generator_state(checkpoint.about["generator"])

    def _take(self, built: Built) -> None:
        """Train in the program of a freshly built model from now on."""
        self.hyperparameters = in_force(built, self.given)
        self._reads = frozenset(built.reads)
        self.shaped_by = shaping(self.given, self._reads)
        self._rate = Rate()
        if built.compiled_by_user:
            self._rate = Rate.of(built.model.optimizer, built.reads, self.given)
        if self._rate.own is not None:
            self.hyperparameters.setdefault("learning_rate", self._rate.own)
        fitting = Fitting(self.task.epochs, make_callbacks(self.task, self.given))
        self.slot = self.programs.of(built, self.hyperparameters, fitting)
        self._set_momentum()

    def _build(self, given: Mapping[str, Any]) -> Built:
        settle(self.task.model)
        task = self.task
        return build_model(task.model, given, self.seed, task.shape, task.kind)

    def _put_in_force(self) -> None:
        """Set the epoch's learning rate and the other live hyperparameters."""
        self._rate.put_in_force(self._planned_rate(), self._optimizer)
        optimizer = self.backend.compiled.optimizer
        if optimizer is not None:
            optimizer.set(self.hyperparameters)

    @property
    def _optimizer(self) -> Any:
        return keras_optimizer(self.backend.compiled)

    @property
    def why_rate_is_fixed(self) -> str | None:
        """Return why no change of ``learning_rate`` would do anything, None where it would."""
        return None if "learning_rate" in self._reads else self._rate.why_none

    def _planned_rate(self) -> float | None:
        """Return the epoch's learning rate, None where it cannot be set."""
        if self._rate.why_none:
            return None
        start = {**self.hyperparameters, "learning_rate": self._rate.start(self.hyperparameters)}
        return learning_rate_at(start, self.epoch, self.task.epochs)

    def _set_momentum(self) -> None:
        asked = self.hyperparameters.get("batch_norm_momentum")
        followed = batch_norm_momentum(self.steps_per_epoch)
        self.backend.batch_norm.set(followed if asked is None else float(asked))
