"""The epoch of many models of one structure as one JAX program: ``vmap`` over models, ``lax.scan`` over batches."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from orchestrator.data import Dataset
from orchestrator.training.backend import EVALUATION_BATCH, Tensors, UnseededDraws
from orchestrator.training.compiling import structure_of
from orchestrator.training.constants import constants_of
from orchestrator.training.keras_backend import LiveNumber, in_place
from orchestrator.training.keras_internals import build_metrics, layers_of
from orchestrator.training.optimizers import rate_variable, why_no_rate
from orchestrator.training.process_state import process_settings
from orchestrator.training.state_transfer import other_optimizers
from orchestrator.training.task import TrainingTask, recalibration
from orchestrator.training.trial_model import Built, Compiled

State = tuple[list[Any], list[Any], list[Any]]
"""The values of a model's trained variables, of its others and of its optimizer's; of all lanes: (lanes, …) each."""


def dropouts(model: Any) -> list[Any]:
    """Return the layers whose rate may be a lane's own: Keras's Dropout that does drop something."""
    return [
        layer
        for layer in layers_of(model)
        if type(layer) is keras.layers.Dropout and 0 < float(layer.rate) < 1
    ]


class _Rate:
    """A Dropout's rate as a lane has it, which Keras compares with 0 and 1 while it traces; ``kept`` is 1 less it."""

    def __init__(self, kept: Any) -> None:
        self._kept = kept

    def __gt__(self, other: object) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]

    def __rsub__(self, one: float) -> Any:
        return self._kept


@contextmanager
def rates_in_place(layers: Sequence[Any], rates: Sequence[Any]) -> Iterator[None]:
    """Have Dropout layers drop by other rates in the block."""
    before = [layer.rate for layer in layers]
    for layer, rate in zip(layers, rates, strict=True):
        object.__setattr__(layer, "rate", rate)
    try:
        yield
    finally:
        for layer, rate in zip(layers, before, strict=True):
            object.__setattr__(layer, "rate", rate)


def program_key(built: Built, task: TrainingTask, hyperparameters: Mapping[str, Any]) -> str:
    """Return what one program depends on.

    That is the structure that a program of one trial depends on, without the rates of Dropout layers and how much
    labels are smoothed. What a builder reads and its model holds nowhere but there is left out too. The batch size is
    another matter, though a shape here: it changes while a trial lives.
    """
    layers = dropouts(built.model)
    structure = structure_of(built, hyperparameters)
    if task.model.kind == "bundled":
        structure["reads"] = {k: v for k, v in built.reads.items() if k != "dropout"}
    else:
        with rates_in_place(layers, [0.5] * len(layers)):
            structure["constants"] = constants_of((built.model, process_settings())).text
    structure["label_smoothing"] = bool(structure.get("label_smoothing"))
    structure["dropouts"] = len(layers)
    structure["shapes"] = [(tuple(v.shape), str(v.dtype)) for v in built.model.variables]
    return json.dumps(structure, sort_keys=True, default=repr)


def why_no_lane(built: Built, task: TrainingTask, hyperparameters: Mapping[str, Any]) -> str | None:
    """Return why a model is trained by itself, None where it can be a lane."""
    model = built.model
    if built.compiled_by_user and (why := why_no_rate(model.optimizer)) is not None:
        return why
    if other_optimizers(model):
        return "the model has optimizers beside the one that it is compiled with"
    for name in _KERAS_OWN:
        if getattr(type(model), name, None) is not getattr(keras.Model, name, None):
            return f"the model overrides {name}()"
    if task.callbacks is not None:
        return "it has callbacks"
    if not isinstance(task.dataset, Dataset):
        return "the data are streamed"
    if recalibration(hyperparameters, task) == "every_validation":
        return "BatchNormalization is recalibrated at every validation"
    if built.constants is None:
        return "parts of the model cannot be looked into"
    if keras.config.dtype_policy().name == "mixed_float16":
        return "the loss is scaled, in mixed precision"
    return None


_KERAS_OWN = (
    "fit",
    "evaluate",
    "train_step",
    "test_step",
    "make_train_function",
    "make_test_function",
    "compute_loss",
    "compute_metrics",
    "get_metrics_result",
    "stateless_call",
)


class LaneProgram:
    """The epoch of one lane as a function of arrays, and that of many: traced once for each number of them."""

    def __init__(
        self,
        compiled: Compiled,
        numbers: Sequence[LiveNumber],
        listens: bool,
        tensors: Tensors,
        batch_size: int,
    ) -> None:
        self._model = compiled.model
        self._numbers = numbers
        self._dropouts = dropouts(self._model)
        self._rate_at = _place_of(rate_variable(self._model.optimizer), self._model.optimizer)
        self._listens = listens
        self.batch_size = batch_size
        self.draws = UnseededDraws()
        train, validation = (
            tensors.of(split, compiled.labels) for split in ("train", "validation")
        )
        self._validation = validation
        self.data = jax.tree.map(jnp.asarray, (train, validation))
        build_metrics(self._model, jax.tree.map(lambda rows: rows[:2], train))
        self._model.reset_metrics()
        self._zero = [np.asarray(v.value) for v in self._model.metrics_variables]
        lanes = jax.vmap(self._epoch, in_axes=(0, 0, None, None))
        self.function = jax.jit(lanes)

    def _epoch(self, state: State, own: tuple[Any, Any, Any], train: Any, validation: Any) -> Any:
        """Return a lane's state after an epoch, its figures, those of the validation, and outputs if they are heard.

        Its ``own`` are its numbers, the order of rows, and whether it trains: else its state stays as it is.
        """
        numbers, order, trains = own
        trainable, others, slots = state
        slots = [*slots[: self._rate_at], numbers[0], *slots[self._rate_at + 1 :]]
        live = numbers[1 : 1 + len(self._numbers)]
        kept = [_Rate(each) for each in numbers[1 + len(self._numbers) :]]
        zero = [jnp.asarray(value) for value in self._zero]
        before = (trainable, others, slots, zero)
        with (
            in_place(self._numbers, live),
            rates_in_place(self._dropouts, kept),
            self.draws.watched(),
        ):
            after, _ = _over(self._train_on(train), before, order, self.batch_size)
            trainable, others, slots, sums = after
            logs = self._results(sums)
            rows = jnp.arange(jax.tree.leaves(validation)[0].shape[0])
            given = (trainable, others, zero)
            judged, outputs = _over(self._judge(validation), given, rows, EVALUATION_BATCH)
        new = (trainable, judged[1], slots)
        state = jax.tree.map(lambda a, b: jnp.where(trains, a, b), new, state)
        return state, logs, self._results(judged[2]), outputs

    def _train_on(self, data: Any) -> Callable[[Any, Any], Any]:
        def step(state: Any, rows: Any) -> Any:
            _, state = self._model.train_step(state, jax.tree.map(lambda each: each[rows], data))
            return tuple(map(list, state)), ()

        return step

    def _judge(self, data: Any) -> Callable[[Any, Any], Any]:
        def step(state: Any, rows: Any) -> Any:
            with self._outputs() as heard:
                _, state = self._model.test_step(state, jax.tree.map(lambda each: each[rows], data))
            return tuple(map(list, state)), tuple(heard)

        return step

    @contextmanager
    def _outputs(self) -> Iterator[list[Any]]:
        """Hear what the model's ``compute_metrics`` is given, where figures are asked for by name."""
        heard: list[Any] = []
        if not self._listens:
            yield heard
            return
        own = self._model.compute_metrics

        def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            heard.append(y_pred)
            return own(x, y, y_pred, sample_weight=sample_weight)

        object.__setattr__(self._model, "compute_metrics", compute_metrics)
        try:
            yield heard
        finally:
            object.__setattr__(self._model, "compute_metrics", own)

    def _results(self, sums: Any) -> Any:
        variables = self._model.metrics_variables
        with keras.StatelessScope(state_mapping=list(zip(variables, sums, strict=True))):
            return dict(self._model.get_metrics_result())

    def heard(self, outputs: Any) -> list[tuple[Any, Any, Any]]:
        """Return a validation's rows as they are judged by name: labels, a lane's outputs, weights."""
        if not self._listens:
            return []
        _, y, *weight = self._validation
        return [(y, outputs[0], weight[0] if weight else None)]


def _over(step: Any, state: Any, order: Any, size: int) -> tuple[Any, Any]:
    """Take a step for each ``size`` of the rows in ``order``, and one for those that are left."""
    whole = len(order) // size
    found = []
    if whole:
        state, out = jax.lax.scan(step, state, order[: whole * size].reshape(whole, size))
        found.append(jax.tree.map(lambda each: each.reshape(-1, *each.shape[2:]), out))
    if len(order) > whole * size:
        state, out = step(state, order[whole * size :])
        found.append(out)
    return state, jax.tree.map(lambda *parts: jnp.concatenate(parts), *found)


def _place_of(variable: Any, optimizer: Any) -> int:
    return next(at for at, each in enumerate(optimizer.variables) if each is variable)
