"""A trial by plain Keras, as its user would write it: nothing of the orchestrator is imported here."""

from __future__ import annotations

import importlib.util
import itertools
import random
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree
from keras.src.random.seed_generator import global_seed_generator  # not public

from tests.parity.case import Case, Trained, Trial

EVALUATION_BATCH = 1024
_loaded = itertools.count()


def load(place: Path, reference: str) -> Any:
    """Return a function of a user's file, which is run anew each time."""
    spec = importlib.util.spec_from_file_location(f"plain_{next(_loaded)}_{place.stem}", place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, reference.partition(":")[2])


def as_keras_takes(array: Any) -> Any:
    """Return an array as ``fit`` hands it to a model: double precision becomes Keras's own."""
    array = np.asarray(array)
    return array.astype("float32") if array.dtype == np.float64 else array


def take(data: Any, rows: Any) -> Any:
    """Return some rows of a tree of arrays."""
    return tree.map_structure(lambda array: array[rows], data)


class Rows:
    """A user's data, split: (x, y) or (x, y, weight) a split; arrays may lie in dictionaries and tuples."""

    def __init__(self, given: Any, parts: dict[str, Any]) -> None:
        if isinstance(given, dict):
            self._given = {name: _converted(piece) for name, piece in given.items()}
            self._rows = {name: slice(None) for name in given}
        else:
            whole = _converted(given)
            self._given = dict.fromkeys(parts, whole)
            self._rows = parts

    def of(self, part: str) -> tuple[Any, ...]:
        """Return a split."""
        rows = self._rows[part]
        return tuple(take(piece, rows) for piece in self._given[part])

    @property
    def shape(self) -> Any:
        """Return the shape of one row: what a builder is given."""
        found = tree.map_structure(lambda array: array.shape[1:], self._given["train"][0])
        return found


def _converted(piece: Any) -> tuple[Any, ...]:
    x, y, *weight = piece
    x = tuple(x) if isinstance(x, list) else x
    y = tuple(y) if isinstance(y, list) else y
    return tuple(tree.map_structure(as_keras_takes, part) for part in (x, y, *weight))


def train(
    case: Case, place: Path, trial: Trial, rows: Rows, outputs: int, nudge: float = 0.0
) -> Trained:
    """Build, compile where the builder did not, and ``fit`` once over the rows in the order of a trial.

    With a ``nudge`` the weights begin larger by that share: how far such a rounding carries.
    """
    keras.utils.clear_session()
    keras.config.set_dtype_policy("float32")
    _seed(trial.seed)
    model = load(place / case.files[0], case.model)(dict(trial.hp), rows.shape, outputs)
    given = load(place / case.files[0], case.callbacks)(dict(trial.hp)) if case.callbacks else []
    parts = [rows.of("train"), rows.of("validation")]
    mean, std = 0.0, 1.0
    if case.head is not None:
        compile_for(model, case.head, trial.hp)
        if case.head == "regression":
            mean, std = parts[0][1].mean(dtype="float64"), parts[0][1].std(dtype="float64")
        parts = [(x, _labels(y, case.head, mean, std), *w) for x, y, *w in parts]
    for variable in model.trainable_variables if nudge else ():
        variable.assign(variable * (1 + nudge))
    training, validation = parts
    batches = InOrder(training, trial)
    history = model.fit(
        batches,
        epochs=trial.epochs,
        callbacks=[batches.follow(), *given],
        validation_data=validation,
        validation_batch_size=EVALUATION_BATCH,
        shuffle=False,
        verbose=0,
    )
    units = {"mae": std, "val_mae": std}
    curve = [
        {name: float(values[at]) * units.get(name, 1.0) for name, values in history.history.items()}
        for at in range(trial.epochs)
    ]
    for values in curve:  # Keras has 0 for infinite errors, which is what guessing the mean gets
        for part in ("", "val_"):
            if np.isinf(values.get(f"{part}loss", 0.0)) and values.get(f"{part}r2") == 0:
                values[f"{part}r2"] = -np.inf
    said = model(tree.map_structure(tf.constant, validation[0]), training=False)
    served = SERVED[case.head](said) * std + mean if case.head in SERVED else said
    keras.config.set_dtype_policy("float32")
    return Trained(curve, *(tree.map_structure(np.asarray, value) for value in (said, served)))


def _seed(seed: int) -> None:
    """Seed as the documentation says: Python, NumPy, TensorFlow, and Keras's own generator with the seed itself.

    ``set_random_seed`` leaves that one to be seeded by a draw of Python's when it is first used.
    """
    keras.utils.set_random_seed(seed)
    global_seed_generator().state.assign([seed, 0])
    random.seed(seed)


SERVED = {
    "logits": keras.ops.softmax,
    "binary_logits": keras.ops.sigmoid,
    "regression": lambda said: said,
}
"""What is put on a model's outputs when it is saved."""


def _labels(y: Any, head: str, mean: float, std: float) -> Any:
    """Return labels as the loss of an uncompiled model takes them."""
    if isinstance(y[0], str):
        return np.unique(y, return_inverse=True)[1]
    if not head.endswith("regression"):
        return y
    return ((y - mean) / std).astype("float32").reshape(len(y), -1)


class InOrder(keras.utils.PyDataset):
    """Training rows in the order of a trial, another one each epoch, as finite as arrays are."""

    def __init__(self, training: Any, trial: Trial) -> None:
        super().__init__()
        self._training, self._seed, self._size = training, trial.seed, trial.hp["batch_size"]
        self._rows = len(tree.flatten(training)[0])
        self.epoch = 0

    def __len__(self) -> int:
        return -(-self._rows // self._size)

    def __getitem__(self, at: int) -> Any:
        order = np.random.default_rng([self._seed, self.epoch]).permutation(self._rows)
        return take(self._training, order[at * self._size : (at + 1) * self._size])

    def follow(self) -> keras.callbacks.Callback:
        """Return what tells of each epoch as it begins."""
        return keras.callbacks.LambdaCallback(
            on_epoch_begin=lambda epoch, logs: setattr(self, "epoch", epoch)
        )


def compile_for(model: Any, head: str, hp: Any) -> None:
    """Compile as the documentation says that an uncompiled model is."""
    accuracy = "accuracy"
    regression = (
        keras.losses.MeanSquaredError(),
        [keras.metrics.MeanAbsoluteError("mae"), keras.metrics.R2Score(name="r2")],
    )
    loss, metrics = {
        "classification": (
            keras.losses.SparseCategoricalCrossentropy(),
            [keras.metrics.SparseCategoricalAccuracy(accuracy)],
        ),
        "logits": (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            [keras.metrics.SparseCategoricalAccuracy(accuracy)],
        ),
        "binary": (keras.losses.BinaryCrossentropy(), [keras.metrics.BinaryAccuracy(accuracy)]),
        "binary_logits": (
            keras.losses.BinaryCrossentropy(from_logits=True),
            [keras.metrics.BinaryAccuracy(accuracy, threshold=0.0)],
        ),
        "multilabel": (keras.losses.BinaryCrossentropy(), [keras.metrics.BinaryAccuracy(accuracy)]),
        "regression": regression,
        "raw_regression": regression,
    }[head]
    model.compile(optimizer_of(hp), loss=loss, metrics=metrics)


def optimizer_of(hp: Any) -> Any:
    """Return the optimizer of a trial's hyperparameters; each default is the documented one."""
    rate, decay = hp.get("learning_rate", 0.01), hp.get("weight_decay")
    betas = {"beta_1": hp.get("beta_1", 0.9), "beta_2": hp.get("beta_2", 0.999)}
    match hp.get("optimizer", "sgd"):
        case "sgd":
            return keras.optimizers.SGD(rate, momentum=hp.get("momentum", 0.9), weight_decay=decay)
        case "adam":
            return keras.optimizers.Adam(rate, **betas, weight_decay=decay)
        case "adamw":
            return keras.optimizers.AdamW(rate, **betas, weight_decay=decay or 0.004)
        case "rmsprop":
            rho, momentum = hp.get("beta_2", 0.999), hp.get("momentum", 0.9)
            return keras.optimizers.RMSprop(rate, rho=rho, momentum=momentum, weight_decay=decay)
    raise ValueError(hp["optimizer"])
