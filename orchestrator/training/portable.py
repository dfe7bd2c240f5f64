"""The winner as one Keras model that takes the user's own rows and answers in the user's terms.

What was fitted on the training rows (fill values, categories, scaling, the targets' unit) becomes layers around the
trained model, and a head of logits gets its softmax or sigmoid. Nothing of ours is needed to load it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from orchestrator.data import RAW_ROWS, ColumnRecipe, StreamedDataset, TableRecipe
from orchestrator.training.compiling import Built, compile_stock
from orchestrator.training.learner import AnyDataset
from orchestrator.training.task import OUTPUT_ACTIVATIONS, LearningGoal

MOST_NAMED_INPUTS = 512
"""A wider table's model takes its features as one array: Keras needs seconds for every hundred inputs."""
TOLERANCE = 2e-3
"""By how much a saved model's outputs may differ from the model's: of float32 sums in another order, or of float16."""
CLASS_NAMES = "class_names"
"""The key of a ``.keras`` file's ``metadata.json`` that holds the classes in the order of the outputs."""


def portable(model: Any, dataset: AnyDataset, goal: LearningGoal) -> Any:
    """Return a model around ``model`` that takes raw rows; ``model`` itself where nothing is to be added.

    Tables have a named input a column, of shape (rows, 1), texts as texts; arrays one input as the user gave it.
    """
    named = dataset.table is not None and _is_named(dataset.table)
    scaled = _scales(dataset)
    answers = not goal.task.compiled_by_user and (
        goal.task.from_logits or goal.labels == "standardized"
    )
    if not (named or scaled or answers):
        return model
    inputs, features = _inputs(model, dataset)
    outputs = model(_scaled(features, dataset.scaling) if scaled else features)
    return keras.Model(inputs, _answer(outputs, dataset, goal) if answers else outputs)


def takes_named_columns(dataset: AnyDataset) -> bool:
    """Return whether the portable model has an input a column."""
    return dataset.table is not None and _is_named(dataset.table)


def _is_named(recipe: TableRecipe) -> bool:
    return len(recipe.columns) <= MOST_NAMED_INPUTS


def _inputs(model: Any, dataset: AnyDataset) -> tuple[Any, Any]:
    if dataset.table is not None and _is_named(dataset.table):
        return _columns(dataset.table)
    if isinstance(dataset, StreamedDataset):
        kind = "float32"
    else:
        kind = keras.tree.map_structure(lambda array: array.dtype.name, dataset.train.x)
    dtype = kind if isinstance(kind, str) and dataset.scaling.get("how") == "none" else "float32"
    shape = dataset.input_shape
    inputs: Any
    if isinstance(shape, Mapping):
        inputs = {name: keras.Input(one, dtype=kind[name]) for name, one in shape.items()}
    elif shape and isinstance(shape[0], tuple):
        inputs = tuple(keras.Input(one, dtype=kind[at]) for at, one in enumerate(shape))
    else:
        inputs = keras.Input(shape, dtype=dtype, name="rows")
    return inputs, inputs


def _columns(recipe: TableRecipe) -> tuple[dict[str, Any], Any]:
    """Return the inputs of a table by column, and its features side by side."""
    inputs: dict[str, Any] = {}
    features: list[Any] = []
    for at, column in enumerate(recipe.columns):
        dtype = "string" if column.kind == "text" else "float32"
        name = f"column_{at}" if "/" in column.name else column.name
        inputs[column.name] = keras.Input((1,), dtype=dtype, name=name)
        if column.kind != "text":
            features.append(_filled(inputs[column.name], column))
        elif column.categories:
            features.append(_one_hot(inputs[column.name], column))
    joined = (
        keras.layers.Concatenate(name="all_columns")(features) if len(features) > 1 else features[0]
    )
    return inputs, joined


def _filled(values: Any, column: ColumnRecipe) -> Any:
    if column.fill is None:
        return values
    return keras.ops.where(keras.ops.isnan(values), float(column.fill), values)


def _one_hot(texts: Any, column: ColumnRecipe) -> Any:
    """Return a column's texts as a 1 among 0s; a text that training had not is 0 in all, a gap is what fills it."""
    gap = [""] if column.fill is not None else []
    lookup = keras.layers.StringLookup(
        vocabulary=[*gap, *column.categories], num_oov_indices=1, output_mode="one_hot"
    )
    found = lookup(texts)
    places = np.zeros((1 + len(gap) + len(column.categories), len(column.categories)), np.float32)
    places[1 + len(gap) :] = np.eye(len(column.categories))
    if column.fill in column.categories:
        places[1, column.categories.index(str(column.fill))] = 1
    return _fixed_product(found, places)


def _fixed_product(rows: Any, matrix: np.ndarray) -> Any:
    layer = keras.layers.Dense(matrix.shape[1], use_bias=False, trainable=False)
    result = layer(rows)
    layer.set_weights([matrix])
    return result


def _scaled(features: Any, scaling: Mapping[str, Any]) -> Any:
    """Return scaled features: (x - shift) / divisor, as ``data/scaling.py`` has it."""
    if scaling["how"] == "minmax":
        low, high = np.asarray(scaling["min"]), np.asarray(scaling["max"])
        mean, divisor = low, np.where(high > low, high - low, 1.0)
    else:
        mean, divisor = np.asarray(scaling["mean"]), np.asarray(scaling["std"])
    # Not a Normalization layer, which takes each deviation below 1e-7 for 1e-7.
    shifted = keras.layers.Rescaling(1.0, (-mean).tolist(), name="shifted_rows")(features)
    return keras.layers.Rescaling((1.0 / divisor).tolist(), name="scaled_rows")(shifted)


def _answer(outputs: Any, dataset: AnyDataset, goal: LearningGoal) -> Any:
    """Return probabilities of logits, or quantities in the user's unit."""
    labels = dataset.labels
    if goal.task.kind == "regression":
        if labels.mean is None or labels.std is None:
            return outputs
        unit = keras.layers.Rescaling(
            labels.std.tolist(), labels.mean.tolist(), dtype="float32", name="quantities"
        )
        return unit(outputs)
    activation = OUTPUT_ACTIVATIONS[goal.task.kind or "classification"]
    return keras.layers.Activation(activation, dtype="float32", name="probabilities")(outputs)


def write_class_names(path: Path, classes: Sequence[str]) -> None:
    """Put the names of the classes into a ``.keras`` file, beside what Keras writes there of itself."""
    if not classes:
        return
    with zipfile.ZipFile(path) as file:
        entries = [(info, file.read(info)) for info in file.infolist()]
    with zipfile.ZipFile(path, "w") as file:
        for info, content in entries:
            if info.filename == "metadata.json":
                content = json.dumps({**json.loads(content), CLASS_NAMES: list(classes)}).encode()
            file.writestr(info, content)


def class_names(path: Path) -> tuple[str, ...]:
    """Return the names of the classes in a ``.keras`` file; empty where there are none."""
    with zipfile.ZipFile(path) as file:
        return tuple(json.loads(file.read("metadata.json")).get(CLASS_NAMES, ()))


def compile_portable(
    whole: Any, built: Built, hyperparameters: Mapping[str, Any], goal: LearningGoal
) -> None:
    """Compile a model for saving as plain Keras would: as its builder did, or for the task that it answers.

    One that a builder compiled stays as it is; layers around it are compiled alike where Keras can say how.
    """
    if not built.compiled_by_user:
        answered = replace(goal, task=replace(goal.task, from_logits=False))
        compile_stock(whole, hyperparameters, answered)
    elif whole is not built.model:
        config = built.model.get_compile_config()
        if config is not None:
            whole.compile_from_config(config)
    if whole.compiled and not whole.optimizer.built:
        whole.optimizer.build(whole.trainable_variables)


def rows_to_compare(dataset: AnyDataset) -> tuple[Any, Any]:
    """Return some rows as the model in training takes them, and the same as its saved file does."""
    if isinstance(dataset, StreamedDataset):
        x = next(iter(dataset.validation.batches(RAW_ROWS, None)))[0]
        return x, None if dataset.table is not None or _scales(dataset) else x
    x = keras.tree.map_structure(lambda array: array[:RAW_ROWS], dataset.last.x)
    if dataset.raw is None:
        return x, x
    if isinstance(dataset.raw, dict) and dataset.table is not None:
        return x, as_inputs(dataset.raw, dataset.table) if takes_named_columns(dataset) else None
    return x, dataset.raw


def as_inputs(columns: Mapping[str, Any], recipe: TableRecipe) -> dict[str, Any]:
    """Return raw columns as a portable model takes them: (rows, 1), numbers as float32, texts as texts."""
    inputs: dict[str, Any] = {}
    for column in recipe.columns:
        values = np.asarray(columns[column.name])[:, None]
        is_text = column.kind == "text"
        inputs[column.name] = tf.constant(values.astype(str)) if is_text else values.astype("f4")
    return inputs


def answers_of(outputs: Any, dataset: AnyDataset, goal: LearningGoal) -> Any:
    """Return what a portable model answers where the one in training has these outputs."""
    if goal.task.compiled_by_user:
        return outputs
    labels = dataset.labels
    if goal.labels == "standardized" and labels.mean is not None and labels.std is not None:
        return outputs * labels.std + labels.mean
    if not goal.task.from_logits:
        return outputs
    softmax = goal.task.kind == "classification"
    return np.asarray(tf.nn.softmax(outputs) if softmax else tf.sigmoid(outputs))


def alike(found: Any, expected: Any, unit: Any = 1.0) -> bool:
    """Return whether two arrays of outputs are the same but for rounding, of half precision where one is.

    ``unit``: what outputs of a usual size are, a figure in all or one a column.
    """
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    if found.shape != expected.shape:
        return False
    size = np.maximum(unit, np.abs(expected).max(axis=0, initial=0.0))
    off = np.abs(found - expected) > TOLERANCE * (size + np.abs(expected))
    same_gaps = np.array_equal(np.isnan(found), np.isnan(expected))
    return bool(same_gaps and not off.any())


def unit_of(dataset: AnyDataset, goal: LearningGoal) -> Any:
    """Return what outputs of a usual size are: a deviation of quantities, else 1."""
    std = dataset.labels.std
    return std if goal.labels == "standardized" and std is not None else 1.0


def _scales(dataset: AnyDataset) -> bool:
    return bool(dataset.scaling.get("how", "none") != "none")


def arrays(outputs: Any) -> Any:
    """Return tensors as NumPy arrays, of several outputs too."""
    return keras.tree.map_structure(lambda tensor: np.asarray(tf.cast(tensor, tf.float32)), outputs)
