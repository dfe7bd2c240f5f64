"""A built model becomes a compiled one: loss, metrics, optimizer."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from orchestrator.training.keras_backend import NAME, LiveNumber, jit_compile
from orchestrator.training.keras_internals import on_one_replica
from orchestrator.training.optimizers import (
    LiveOptimizer,
    decays_weights,
    known_optimizer,
    stock_optimizer,
)
from orchestrator.training.state_transfer import other_optimizers
from orchestrator.training.task import LabelForm, LearningGoal
from orchestrator.training.trial_model import Built, Compiled, RowLoss


def structure_of(built: Built, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the traced programs of a model depend on.

    What a user's builder read is in the model that it made: in its ``constants``, or in variables, as α.
    """
    structure: dict[str, Any] = {
        "reads": {} if built.constants else dict(built.reads),
        "compiled_by_user": built.compiled_by_user,
        "constants": built.constants,
    }
    if not built.compiled_by_user:
        structure |= {
            "optimizer": known_optimizer(hyperparameters),
            "decays_weights": decays_weights(hyperparameters),
            "label_smoothing": float(hyperparameters.get("label_smoothing") or 0.0),
        }
    return structure


def compile_live(
    built: Built,
    hyperparameters: Mapping[str, Any],
    goal: LearningGoal,
    live_smoothing: bool = False,
) -> Compiled:
    """Compile with an optimizer whose hyperparameters are live; a model its builder compiled stays as it is.

    ``live_smoothing``: what smooths labels, where they are smoothed, is a live number too.
    """
    model = built.model
    others = other_optimizers(model)
    for optimizer in others:
        on_one_replica(optimizer)
    if built.compiled_by_user:
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        on_one_replica(model.optimizer)
        return Compiled(model, None, goal, goal.labels, _own_row_loss(model), others)
    live = LiveOptimizer(hyperparameters)
    on_one_replica(live.keras)
    live.keras.build(model.trainable_variables)
    smoothing = float(hyperparameters.get("label_smoothing") or 0.0)
    number = LiveNumber(smoothing) if live_smoothing and smoothing else None
    labels, row_loss = _compile(model, live.keras, hyperparameters, goal, number)
    if not model.optimizer.built:  # in mixed precision: what Keras has wrapped around it
        model.optimizer.build(model.trainable_variables)
    return Compiled(model, live, goal, labels, row_loss, others, number)


def compile_stock(model: Any, hyperparameters: Mapping[str, Any], goal: LearningGoal) -> None:
    """Compile with nothing but what is Keras's own, for a file that plain Keras loads."""
    model.compile(**_stock(hyperparameters, goal), jit_compile=jit_compile())


def _stock(hyperparameters: Mapping[str, Any], goal: LearningGoal) -> dict[str, Any]:
    smoothing = float(hyperparameters.get("label_smoothing") or 0.0)
    loss, metrics, _ = _objective(goal, smoothing)
    if goal.task.kind == "regression":
        metrics = [keras.metrics.MeanAbsoluteError(name="mae"), keras.metrics.R2Score(name="r2")]
    return {"optimizer": stock_optimizer(hyperparameters), "loss": loss, "metrics": metrics}


def _stock_config(hyperparameters: Mapping[str, Any], goal: LearningGoal) -> dict[str, Any]:
    """Return how a model in training is compiled when somebody's callback saves it, in Keras's own terms."""
    stock = keras.saving.serialize_keras_object(_stock(hyperparameters, goal))
    return {**stock, "jit_compile": jit_compile()}


def _compile(
    model: Any,
    optimizer: Any,
    hyperparameters: Mapping[str, Any],
    goal: LearningGoal,
    live_smoothing: LiveNumber | None,
) -> tuple[LabelForm, RowLoss]:
    """Compile; return the labels that the loss takes and its value a row.

    The cross-entropy is safe: Keras takes the logits of a softmax or sigmoid head, so dJ/dz = ŷ - y for any z.
    """
    smoothing = float(hyperparameters.get("label_smoothing") or 0.0)
    loss, metrics, labels = _objective(goal, 0.0 if live_smoothing else smoothing, bool(smoothing))
    if live_smoothing is not None:
        loss = SmoothedLabels(loss, live_smoothing)
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=jit_compile())
    stock = functools.partial(_stock_config, hyperparameters, goal)
    object.__setattr__(model, "get_compile_config", stock)
    return labels, loss.call


def _objective(
    goal: LearningGoal, smoothing: float, of_shares: bool = False
) -> tuple[Any, list[Any], LabelForm]:
    """Return a task's loss, its metrics and the labels that both take; ``of_shares``: it takes a share of each class.

    Metric objects rather than names: their variables exist before the first trace, which TensorFlow would otherwise
    do twice.
    """
    logits = goal.task.from_logits
    match goal.task.kind:
        case "binary" | "multilabel":
            accuracy = keras.metrics.BinaryAccuracy(
                name="accuracy", threshold=0.0 if logits else 0.5
            )
            loss = keras.losses.BinaryCrossentropy(from_logits=logits, label_smoothing=smoothing)
            return loss, [accuracy], "flag" if goal.task.kind == "binary" else "columns"
        case "regression":
            scale = goal.scale if goal.labels == "standardized" else None
            metrics = [MeanAbsoluteError(scale), RSquared(goal.columns)]
            return keras.losses.MeanSquaredError(), metrics, goal.labels
    if smoothing or of_shares:
        loss = keras.losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=smoothing)
        return loss, [keras.metrics.CategoricalAccuracy(name="accuracy")], "one_hot"
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    return keras.losses.SparseCategoricalCrossentropy(from_logits=logits), [accuracy], "codes"


class SmoothedLabels(keras.losses.Loss):  # type: ignore[misc]
    """A cross-entropy of labels that a live number smooths: y ← (1 - s) y + s / classes, as Keras's own does."""

    def __init__(self, loss: Any, smoothing: LiveNumber) -> None:
        super().__init__(name=loss.name)
        self._loss, self._smoothing = loss, smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row."""
        y_true, share = ops.cast(y_true, y_pred.dtype), self._smoothing.held
        binary = isinstance(self._loss, keras.losses.BinaryCrossentropy)
        classes = 2 if binary else y_true.shape[-1]
        return self._loss.call(y_true * (1.0 - share) + share / classes, y_pred)


def _own_row_loss(model: Any) -> RowLoss | None:
    """Return the loss of each row of a model that its builder compiled with one loss, None for any other."""
    try:
        loss = keras.losses.get(model.loss) if isinstance(model.loss, str) else model.loss
    except (ValueError, AttributeError):
        return None
    if not callable(loss) or len(model.outputs if hasattr(model, "outputs") else [None]) != 1:
        return None
    found: RowLoss = getattr(loss, "call", loss)
    return found


class MeanAbsoluteError(keras.metrics.Mean):  # type: ignore[misc]
    """The mean absolute error over rows and columns, ``mae``; ``scale`` (columns,) undoes the targets' division."""

    def __init__(self, scale: Any = None, name: str = "mae") -> None:
        super().__init__(name=name)
        self._scale = None if scale is None else ops.convert_to_tensor(scale, "float32")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        errors = ops.abs(ops.cast(y_true, "float32") - ops.cast(y_pred, "float32"))
        errors = errors if self._scale is None else errors * self._scale
        super().update_state(ops.mean(errors, axis=-1), sample_weight)


class RSquared(keras.metrics.Metric):  # type: ignore[misc]
    """The share of variance explained, ``r2``: over all rows, mean of the columns' as scikit-learn's ``r2_score``.

    Summed in double precision, single in JAX, and around the mean so far (Chan, Golub & LeVeque 1983, "Algorithms for
    Computing the Sample Variance", section 3): targets whose mean is large beside their deviation would cancel.
    """

    def __init__(self, columns: int = 1, name: str = "r2") -> None:
        super().__init__(name=name)
        names = ("rows", "mean", "squares", "residuals")
        # JAX has no other without a switch for the whole process.
        dtype = "float32" if NAME == "jax" else "float64"
        self._sums = [
            self.add_weight(shape=(columns,), initializer="zeros", dtype=dtype, name=n)
            for n in names
        ]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        before, mean, squares, residuals = self._sums
        y_true, y_pred = ops.cast(y_true, before.dtype), ops.cast(y_pred, before.dtype)
        rows = ops.sum(ops.ones_like(y_true), axis=0)
        here = ops.sum(y_true, axis=0) / ops.maximum(rows, 1.0)
        share, apart = rows / ops.maximum(before + rows, 1.0), here - mean
        squares.assign_add(ops.sum(ops.square(y_true - here), axis=0))
        squares.assign_add(ops.square(apart) * before * share)
        residuals.assign_add(ops.sum(ops.square(y_true - y_pred), axis=0))
        mean.assign_add(apart * share)
        before.assign_add(rows)

    def result(self) -> Any:
        """Return 1 - residuals / variance; 0 where the targets do not vary."""
        _, _, spread, residuals = (ops.convert_to_tensor(each) for each in self._sums)
        share = ops.where(spread > 0, residuals / ops.where(spread > 0, spread, 1.0), 1.0)
        return ops.cast(ops.mean(1.0 - share), "float32")
