"""The winner as one Keras model that takes the user's own rows and answers in the user's terms, and what it answers.

What was fitted on the training rows (fill values, categories, scaling, the targets' unit) becomes layers around the
trained model, and a head of logits gets its softmax or sigmoid. Nothing of ours is needed to load it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from orchestrator.catalog import UsersCode
from orchestrator.data import RAW_ROWS, ColumnRecipe, StreamedDataset, TableRecipe
from orchestrator.data.table_rows import features_of
from orchestrator.training.backend import AnyDataset
from orchestrator.training.calibration import NEXT_TO_ONE, SMALLEST, Tempering
from orchestrator.training.compiling import compile_stock
from orchestrator.training.heads import loss_name
from orchestrator.training.keras_backend import as_floats, constant
from orchestrator.training.keras_setup import without_remarks
from orchestrator.training.saved_model import Transforms, takes_named_columns
from orchestrator.training.task import LearningGoal
from orchestrator.training.trial_model import Built

TOLERANCE = 2e-3
"""By how much a saved model's outputs may differ from the model's: of float32 sums in another order, or of float16."""
CLASS_NAMES = "class_names"
"""The key of a ``.keras`` file's ``metadata.json`` that holds the classes in the order of the outputs."""


def portable(model: Any, transforms: Transforms) -> Any:
    """Return a model around ``model`` that takes raw rows; ``model`` itself where nothing is to be added.

    Tables have a named input a column, of shape (rows, 1), texts as texts; a table of more than 512 columns takes its
    features as one array, and arrays are taken as the user gave them.
    """
    answers = transforms.activation is not None or transforms.mean is not None
    if not (transforms.takes_named_columns or transforms.scales or answers):
        return model
    inputs, features = _inputs(transforms)
    outputs = model(_scaled(features, transforms.scaling) if transforms.scales else features)
    return keras.Model(inputs, _answer(outputs, transforms) if answers else outputs)


def _inputs(transforms: Transforms) -> tuple[Any, Any]:
    if transforms.table is not None and transforms.takes_named_columns:
        return _columns(transforms.table)
    shape, types = transforms.shape, transforms.types
    inputs: Any
    if isinstance(shape, Mapping):
        inputs = {
            name: keras.Input(one, dtype=types[name], name=name.replace("/", "_"))
            for name, one in shape.items()
        }
    elif shape and isinstance(shape[0], tuple):
        inputs = tuple(keras.Input(one, dtype=types[at]) for at, one in enumerate(shape))
    else:
        inputs = keras.Input(shape, dtype="float32" if transforms.scales else types, name="rows")
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


def _answer(outputs: Any, transforms: Transforms) -> Any:
    """Return probabilities of logits, or quantities in the user's unit."""
    if transforms.mean is None or transforms.std is None:
        layer = keras.layers.Activation(
            transforms.activation, dtype="float32", name="probabilities"
        )
        return layer(outputs)
    unit = keras.layers.Rescaling(
        list(transforms.std), list(transforms.mean), dtype="float32", name="quantities"
    )
    return unit(outputs)


def with_temperature(model: Any, how: Tempering) -> Any | None:
    """Return a saved model that answers as ``how`` says; None where Keras does not know the model's inputs.

    Compiled as it was, unless its loss takes logits, which its answers are no more.
    """
    if not getattr(model, "inputs", None) or len(model.outputs) != 1:
        return None
    # The formula of calibration.tempered, of float32 as there.
    ops, outputs = keras.ops, keras.ops.cast(model.outputs[0], "float32")
    if how.activation is not None:
        outputs = keras.layers.Activation(how.activation, dtype="float32")(outputs)
    logs = ops.log(ops.maximum(outputs, SMALLEST))
    if how.flags or outputs.shape[-1] == 1:
        logits = logs - ops.log(ops.maximum(1.0 - outputs, NEXT_TO_ONE))
        answers = ops.sigmoid(logits / how.temperature)
    else:
        answers = ops.softmax(logs / how.temperature, axis=-1)
    inputs = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    whole = keras.Model(inputs, answers)
    config = model.get_compile_config() if model.compiled and how.activation is None else None
    if config is not None:
        whole.compile_from_config(config)
    return whole


def write_metadata(path: Path, added: Mapping[str, Any]) -> None:
    """Put values, such as the classes' names, into a ``.keras`` file, beside what Keras writes there of itself."""
    if not added:
        return
    with zipfile.ZipFile(path) as file:
        entries = [(info, file.read(info)) for info in file.infolist()]
    with zipfile.ZipFile(path, "w") as file:
        for info, content in entries:
            if info.filename == "metadata.json":
                content = json.dumps({**json.loads(content), **added}).encode()
            file.writestr(info, content)


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


def rows_to_compare(dataset: AnyDataset, transforms: Transforms) -> tuple[Any, Any]:
    """Return some rows as the model in training takes them, and the same as its saved file does."""
    if isinstance(dataset, StreamedDataset):
        x = next(iter(dataset.validation.batches(RAW_ROWS, None)))[0]
        reader = getattr(dataset.validation.batches, "raw", None)
        raw = reader(RAW_ROWS) if reader and (dataset.table or transforms.scales) else x
    else:
        x = keras.tree.map_structure(lambda array: array[:RAW_ROWS], dataset.last.x)
        raw = x if dataset.raw is None else dataset.raw
    return x, as_taken(raw, transforms.table)


def as_taken(rows: Any, table: TableRecipe | None) -> Any:
    """Return raw rows as a saved model takes them: a table's columns by name, or encoded as features."""
    if table is None:
        return rows
    return _as_inputs(rows, table) if takes_named_columns(table) else features_of(rows, table)


def as_plain(rows: Any, table: TableRecipe | None) -> Any:
    """Return raw rows as ``as_taken`` does, a table's columns as the arrays they are: (rows,), of numbers or texts."""
    if table is None or not takes_named_columns(table):
        return as_taken(rows, table)
    return {column.name: np.asarray(rows[column.name]) for column in table.columns}


def _as_inputs(columns: Mapping[str, Any], recipe: TableRecipe) -> dict[str, Any]:
    """Return raw columns as a portable model takes them: (rows, 1), numbers as float32, texts as texts."""
    inputs: dict[str, Any] = {}
    for column in recipe.columns:
        values = np.asarray(columns[column.name])[:, None]
        is_text = column.kind == "text"
        inputs[column.name] = constant(values.astype(str if is_text else "f4"))
    return inputs


def answers_of(outputs: Any, transforms: Transforms) -> Any:
    """Return what a portable model answers where the one in training has these outputs."""
    if transforms.mean is not None:
        return outputs * np.asarray(transforms.std) + np.asarray(transforms.mean)
    if transforms.activation is None:
        return outputs
    return as_floats(getattr(keras.ops, transforms.activation)(outputs))


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


def unit_of(transforms: Transforms) -> Any:
    """Return what outputs of a usual size are: a deviation of quantities, else 1."""
    return 1.0 if transforms.std is None else np.asarray(transforms.std)


def arrays(outputs: Any) -> Any:
    """Return tensors as NumPy arrays, of several outputs too."""
    return keras.tree.map_structure(as_floats, outputs)


_OF_PROBABILITIES = ("categorical_crossentropy", "binary_crossentropy", "focal_crossentropy")


@dataclass(frozen=True, eq=False)
class Outputs:
    """A model's outputs by name in float64, (rows, …); ``probabilities``: its loss takes them for such."""

    by_name: dict[str, Any]
    probabilities: bool


@without_remarks()
def predicted(model: Any, batches: Iterator[Any], table: TableRecipe | None) -> Outputs:
    """Return the outputs for batches of raw rows, a table's by column. Raises TrialError for what its code raises."""
    found: list[list[Any]] = []
    names: list[str] = []
    for batch in batches:
        with UsersCode("predict", None):
            answer = model.predict(as_taken(batch, table), verbose=0)
        names = names or _names(model, answer)
        found.append([np.asarray(one, np.float64) for one in keras.tree.flatten(answer)])
    whole = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return Outputs(dict(zip(names, whole, strict=True)), _are_probabilities(model))


def _names(model: Any, answer: Any) -> list[str]:
    """Return the names of outputs in the order in which Keras flattens them."""
    parts = keras.tree.flatten(answer)
    if len(parts) == 1:
        return ["output"]
    if isinstance(answer, dict):
        return [name for name in sorted(answer) for _ in keras.tree.flatten(answer[name])]
    names = list(getattr(model, "output_names", None) or ())
    return names if len(set(names)) == len(parts) else [f"output_{at}" for at in range(len(parts))]


def _are_probabilities(model: Any) -> bool:
    """Return whether the one loss that a model is compiled with takes its outputs for probabilities."""
    name = loss_name(model) or ""
    from_logits = getattr(getattr(model, "loss", None), "from_logits", False)
    return name.endswith(_OF_PROBABILITIES) and not from_logits
