"""A built model becomes a compiled one: loss, metrics, optimizer."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from orchestrator.catalog import CallableReference, UsersCode, source_files
from orchestrator.errors import TrialError
from orchestrator.training.batch_norm import norm_layers
from orchestrator.training.constants import constants_of
from orchestrator.training.generators import (
    kept_generator_state,
    own_generator,
    set_generator_state,
)
from orchestrator.training.hyperparameters import RecordedHyperparameters
from orchestrator.training.optimizers import (
    LiveOptimizer,
    decays_weights,
    known_optimizer,
    on_one_replica,
    stock_optimizer,
)
from orchestrator.training.settings import forget_names, kept_settings, process_settings
from orchestrator.training.shared import check_nothing_is_shared

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
    """A compiled model; ``optimizer`` is None where the user's builder compiled it."""

    model: Any
    optimizer: LiveOptimizer | None
    one_hot: bool


def build_model(
    reference: CallableReference,
    given: Mapping[str, Any],
    seed: int,
    shape: Any,
) -> Built:
    """Build a model from its seed. ``shape`` is (input_shape, num_classes), ``given`` the trial's hyperparameters.

    The BatchNormalization momentum follows the steps per epoch where none is given: a bundled model's; a user's, where
    its builder asks for ``hp["batch_norm_momentum"]`` and thus has none of its own.
    Raises TrialError when what the builder returns is no Keras model with one output unit a class.
    """
    input_shape, num_classes = shape
    asked = given.get("batch_norm_momentum")
    momentum = BATCH_NORM_MOMENTUM if asked is None else float(asked)
    recorded = _recorded(reference, given, momentum)
    if reference.kind != "module":  # one that is imported once has made its layers before
        forget_names()
    set_seed(reference, seed)
    with UsersCode(f"model {reference.text}", str(reference.file)), own_generator():
        model = reference.load(fresh=True)(recorded, tuple(input_shape), num_classes)
        _check(model, reference, shape)
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
    reference: CallableReference, given: Mapping[str, Any], momentum: float
) -> RecordedHyperparameters:
    """Return what a builder sees: what the trial was given, and the BatchNormalization momentum."""
    name = "batch_norm_momentum"
    values = {key: value for key, value in given.items() if key != name or value is not None}
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


@cache
def _uses_tensorflow_random(reference: CallableReference) -> bool:
    if reference.kind == "bundled":
        return False
    files = source_files(reference)
    uses = re.compile(r"\b(tf|tensorflow)\b.*(\brandom\b|\bdropout)|\.shuffle\(|\bdef fit\b")
    return not files or any(uses.search(file.read_text("utf-8")) for file in files)


def watch_reads(reference: CallableReference, given: Mapping[str, Any], shape: Any) -> set[str]:
    """Return the hyperparameters a builder reads for one configuration; the process is left as it was."""
    with kept_settings(), kept_generator_state():
        built = build_model(reference, given, 0, shape)
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


def compile_live(built: Built, hyperparameters: Mapping[str, Any]) -> Compiled:
    """Compile with an optimizer whose hyperparameters are live; a model its builder compiled stays as it is."""
    model = built.model
    if built.compiled_by_user:
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        on_one_replica(model.optimizer)
        return Compiled(model, None, one_hot=False)
    live = LiveOptimizer(hyperparameters)
    on_one_replica(live.keras)
    live.keras.build(model.trainable_variables)
    one_hot = _compile(model, live.keras, hyperparameters)
    if not model.optimizer.built:  # in mixed precision: what Keras has wrapped around it
        model.optimizer.build(model.trainable_variables)
    return Compiled(model, live, one_hot)


def compile_stock(built: Built, hyperparameters: Mapping[str, Any]) -> bool:
    """Compile with Keras's own optimizer, for saving; return whether labels must be one-hot."""
    if built.compiled_by_user:
        return False
    return _compile(built.model, stock_optimizer(hyperparameters), hyperparameters)


def _compile(model: Any, optimizer: Any, hyperparameters: Mapping[str, Any]) -> bool:
    """Compile; the cross-entropy is safe: Keras takes a softmax head's logits, so dJ/dz = ŷ - y for any z."""
    smoothing = float(hyperparameters.get("label_smoothing") or 0.0)
    # Metric objects rather than names: their variables exist before the first trace, which TensorFlow would
    # otherwise do twice.
    if smoothing:
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    else:
        loss = keras.losses.SparseCategoricalCrossentropy()
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(optimizer=optimizer, loss=loss, metrics=[accuracy], jit_compile=False)
    return bool(smoothing)


def _check(model: Any, reference: CallableReference, shape: Any) -> None:
    """Refuse what cannot be trained; build a model that waits for its input, so that it has its variables."""
    input_shape, num_classes = shape
    if not isinstance(model, keras.Model):
        raise TrialError(
            f"model {reference.text}: expected a keras.Model. Received: {type(model).__name__}."
        )
    output = getattr(model, "output_shape", None) if model.built else None
    if output is None:
        output = getattr(model(keras.Input(input_shape)), "shape", None)
    units = output[-1] if isinstance(output, tuple) and output else None
    if units != num_classes and not getattr(model, "optimizer", None):
        raise TrialError(
            f"model {reference.text}: expected a softmax head with {num_classes} units, one a class."
            f" Received: output shape {output}."
        )
