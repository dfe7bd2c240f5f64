"""A built model becomes a compiled one: loss, metrics, optimizer."""

from __future__ import annotations

import functools
import math
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from orchestrator.catalog import CallableReference, UsersCode, source_texts
from orchestrator.errors import TrialError
from orchestrator.training.batch_norm import norm_layers
from orchestrator.training.constants import constants_of
from orchestrator.training.generators import (
    own_generator,
    set_generator_state,
)
from orchestrator.training.hyperparameters import RecordedHyperparameters
from orchestrator.training.keras_setup import register_again
from orchestrator.training.optimizers import (
    LiveOptimizer,
    decays_weights,
    known_optimizer,
    on_one_replica,
    stock_optimizer,
)
from orchestrator.training.other_optimizers import other_optimizers
from orchestrator.training.quantity_metrics import MeanAbsoluteError, RSquared
from orchestrator.training.settings import forget_names, process_settings
from orchestrator.training.shared import check_nothing_is_shared
from orchestrator.training.task import OUTPUT_ACTIVATIONS, Kind, LabelForm, LearningGoal, Shape

RowLoss = Callable[[Any, Any], Any]

BATCH_NORM_MOMENTUM = 0.9 + 2**-24
"""What a builder reads where the momentum follows the steps per epoch: the true value is set in a live variable.

A number that nobody writes, so that a layer's own momentum is told apart from one that was read.
"""


@dataclass(frozen=True)
class Built:
    """A model fresh from its builder and what its structure depends on."""

    model: Any
    reads: Mapping[str, Any]
    compiled_by_user: bool
    asked_momentum: float
    constants: str | None = ""
    """What the model holds besides variables, equal for equal ones: "" for a bundled one, None where unknown."""


@dataclass(frozen=True)
class Compiled:
    """A compiled model; ``optimizer`` is None where the user's builder compiled it.

    ``goal`` is what it learns, ``labels`` the form of labels that its loss takes, ``row_loss`` what that says of each
    row, None where unknown.
    ``others`` are the optimizers that a step of the model's own uses beside the compiled one.
    """

    model: Any
    optimizer: LiveOptimizer | None
    goal: LearningGoal
    labels: LabelForm
    row_loss: RowLoss | None = None
    others: tuple[Any, ...] = ()

    @property
    def parameters(self) -> int:
        """Return the model's parameter count."""
        return int(self.model.count_params())


def build_model(
    reference: CallableReference,
    given: Mapping[str, Any],
    seed: int,
    shape: Shape,
    kind: Kind | None = "classification",
) -> Built:
    """Build a model from its seed. ``given`` are the trial's hyperparameters.

    ``kind`` is what a bundled model learns.
    The BatchNormalization momentum follows the steps per epoch where none is given: a bundled model's; a user's, where
    its builder asks for ``hp["batch_norm_momentum"]`` and thus has none of its own.
    Raises TrialError when what the builder returns is no Keras model.
    """
    asked = given.get("batch_norm_momentum")
    momentum = BATCH_NORM_MOMENTUM if asked is None else float(asked)
    activation = OUTPUT_ACTIVATIONS[kind] if reference.kind == "bundled" and kind else None
    recorded = _recorded(reference, given, momentum, activation)
    if reference.kind != "module":  # one that is imported once has made its layers before
        forget_names()
    set_seed(reference, seed)
    with UsersCode(f"model {reference.text}", reference.runs_in), own_generator():
        builder = reference.load(fresh=True)
        register_again(reference)
        model = builder(recorded, *shape)
        _check(model, reference, shape.features)
    if reference.kind != "bundled":
        check_nothing_is_shared(model, reference)
    reads = recorded.reads()
    follows = reads.get("batch_norm_momentum") == momentum
    norms = norm_layers(model)
    if follows and norms and all(float(layer.momentum) == momentum for layer in norms):
        reads.pop("batch_norm_momentum", None)  # it is live: no trace depends on it
    compiled_by_user = getattr(model, "optimizer", None) is not None
    constants = "" if reference.kind == "bundled" else constants_of((model, process_settings()))
    asked_momentum = momentum if follows else float("nan")
    return Built(model, reads, compiled_by_user, asked_momentum, constants)


def set_followed_momentum(built: Built, momentum: float) -> None:
    """Give a momentum that follows the steps per epoch to the layers whose builder left it to training."""
    for layer in norm_layers(built.model):
        if float(layer.momentum) == BATCH_NORM_MOMENTUM:
            layer.momentum = momentum


def _recorded(
    reference: CallableReference, given: Mapping[str, Any], momentum: float, activation: str | None
) -> RecordedHyperparameters:
    """Return what a builder sees: what the trial was given, the BatchNormalization momentum, a bundled head's kind."""
    name = "batch_norm_momentum"
    values = {key: value for key, value in given.items() if key != name or value is not None}
    if activation is not None:
        values["output_activation"] = activation
    if reference.kind == "bundled" or name in values:
        return RecordedHyperparameters({**values, name: momentum})
    return RecordedHyperparameters(values, offered={name: momentum})


def set_seed(reference: CallableReference, seed: int) -> None:
    """Seed Python, NumPy, Keras's own generator and, for a builder that uses it, TensorFlow's.

    Layers draw from the first three alone. TensorFlow's seeding throws every compiled kernel of the process away, which
    costs each trial on a warm program more than its first epoch. Keras's generator is set in place, where
    ``keras.utils.set_random_seed`` makes a new one that a traced program would not know of.
    """
    set_generator_state([seed, 0])
    if _uses_tensorflow_random(reference):
        tf.random.set_seed(seed)
    random.seed(seed)
    np.random.seed(seed)


@functools.cache
def _uses_tensorflow_random(reference: CallableReference) -> bool:
    if reference.kind == "bundled":
        return False
    texts = source_texts(reference)
    uses = re.compile(r"\b(tf|tensorflow)\b.*(\brandom\b|\bdropout)|\.shuffle\(|\bdef fit\b")
    return not texts or any(map(uses.search, texts))


def reads_of(built: Built) -> set[str]:
    """Return the hyperparameters that a builder read."""
    return {*built.reads, *(() if math.isnan(built.asked_momentum) else ("batch_norm_momentum",))}


def structure_of(built: Built, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return all that the traced programs of a model depend on."""
    structure: dict[str, Any] = {
        "reads": dict(built.reads),
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


def compile_live(built: Built, hyperparameters: Mapping[str, Any], goal: LearningGoal) -> Compiled:
    """Compile with an optimizer whose hyperparameters are live; a model its builder compiled stays as it is."""
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
    labels, row_loss = _compile(model, live.keras, hyperparameters, goal)
    if not model.optimizer.built:  # in mixed precision: what Keras has wrapped around it
        model.optimizer.build(model.trainable_variables)
    return Compiled(model, live, goal, labels, row_loss, others)


def compile_stock(model: Any, hyperparameters: Mapping[str, Any], goal: LearningGoal) -> None:
    """Compile with nothing but what is Keras's own, for a file that plain Keras loads."""
    model.compile(**_stock(hyperparameters, goal), jit_compile=False)


def _stock(hyperparameters: Mapping[str, Any], goal: LearningGoal) -> dict[str, Any]:
    smoothing = float(hyperparameters.get("label_smoothing") or 0.0)
    loss, metrics, _ = _objective(goal, smoothing)
    if goal.task.kind == "regression":
        metrics = [keras.metrics.MeanAbsoluteError(name="mae"), keras.metrics.R2Score(name="r2")]
    return {"optimizer": stock_optimizer(hyperparameters), "loss": loss, "metrics": metrics}


def _stock_config(hyperparameters: Mapping[str, Any], goal: LearningGoal) -> dict[str, Any]:
    """Return how a model in training is compiled when somebody's callback saves it, in Keras's own terms."""
    stock = keras.saving.serialize_keras_object(_stock(hyperparameters, goal))
    return {**stock, "jit_compile": False}


def _compile(
    model: Any, optimizer: Any, hyperparameters: Mapping[str, Any], goal: LearningGoal
) -> tuple[LabelForm, RowLoss]:
    """Compile; return the labels that the loss takes and its value a row.

    The cross-entropy is safe: Keras takes the logits of a softmax or sigmoid head, so dJ/dz = ŷ - y for any z.
    """
    smoothing = float(hyperparameters.get("label_smoothing") or 0.0)
    loss, metrics, labels = _objective(goal, smoothing)
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, jit_compile=False)
    stock = functools.partial(_stock_config, hyperparameters, goal)
    object.__setattr__(model, "get_compile_config", stock)
    return labels, loss.call


def _objective(goal: LearningGoal, smoothing: float) -> tuple[Any, list[Any], LabelForm]:
    """Return a task's loss, its metrics and the labels that both take.

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
    if smoothing:
        loss = keras.losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=smoothing)
        return loss, [keras.metrics.CategoricalAccuracy(name="accuracy")], "one_hot"
    accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    return keras.losses.SparseCategoricalCrossentropy(from_logits=logits), [accuracy], "codes"


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


def _check(model: Any, reference: CallableReference, input_shape: Any) -> None:
    """Refuse what is no Keras model; build one that waits for its input, so that it has its variables."""
    if not isinstance(model, keras.Model):
        raise TrialError(
            f"model {reference.text}: expected a keras.Model. Received: {type(model).__name__}."
        )
    if not model.built or not model.variables:
        model(symbolic(input_shape))


def symbolic(shape: Any) -> Any:
    """Return Keras's stand-in for features of a shape, or of a dictionary or tuple of shapes."""
    if isinstance(shape, Mapping):
        return {name: symbolic(one) for name, one in shape.items()}
    if shape and isinstance(shape[0], tuple):
        return tuple(symbolic(one) for one in shape)
    return keras.Input(shape)
