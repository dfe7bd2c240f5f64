"""Formats in which a winner is taken elsewhere: converted by Keras and its libraries, asked again by their runtimes.

Every file takes named inputs of plain tensors, holds the layers around the trained model, and carries its
``metadata.json``: in a ``.keras`` file beside Keras's own, in a SavedModel's ``assets.extra``, in an ONNX file's
properties, in a ``.tflite`` file's appended archive (as TensorFlow Lite has associated files), in a ``.pt2`` file's
extra files.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from orchestrator.training.keras_internals import layers_of

METADATA = "metadata.json"
WITH_TEXTS = ("saved_model", "tflite")
"""Formats into which Keras's lookups of texts go as they are."""
EXTRA = "assets.extra"
"""Where a SavedModel has files that TensorFlow leaves alone."""


@dataclass(frozen=True)
class Input:
    """One input: ``name`` in the file, ``column`` of the table or of the rows that it is, its shape and type.

    ``vocabulary``: where the format has no texts, those that its numbers stand for: 1 for the first, 0 for any other.
    """

    name: str
    column: str
    shape: tuple[int | None, ...]
    dtype: str
    vocabulary: tuple[str, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        plain = {"name": self.name, "column": self.column, "dtype": self.dtype}
        codes = {"vocabulary": list(self.vocabulary)} if self.vocabulary else {}
        return {**plain, "shape": list(self.shape), **codes}

    def of(self, values: Any) -> np.ndarray:
        """Return rows of it as the file takes them: (rows, …), texts as their numbers where it takes no texts."""
        array = np.asarray(values)
        array = array[:, None] if array.ndim < len(self.shape) else array
        if not self.vocabulary:
            return array.astype(object if self.dtype == "string" else self.dtype)
        places = {text: at for at, text in enumerate(self.vocabulary, start=1)}
        codes = [places.get(str(text), 0) for text in array.ravel()]
        return np.array(codes, self.dtype).reshape(array.shape)


@dataclass(frozen=True, eq=False)
class Flat:
    """A model with one level of named inputs: a dict by name, or a single tensor."""

    model: Any
    inputs: tuple[Input, ...]
    outputs: int

    def fed(self, rows: Any) -> dict[str, np.ndarray]:
        """Return raw rows by the names of the inputs; a table's are given by column."""
        if isinstance(rows, Mapping):
            return {one.name: one.of(rows[one.column]) for one in self.inputs}
        parts = keras.tree.flatten(rows)
        return {one.name: one.of(part) for one, part in zip(self.inputs, parts, strict=True)}


def flat(model: Any, shape: Any, texts: bool) -> Flat:
    """Return a model as one of named inputs; without ``texts``, of numbers in their place.

    ``shape`` is that of a row, for a model of which Keras knows no inputs.
    """
    taken, whole = _inputs_of(model, shape), model
    vocabularies: dict[str, Any] = {}
    if not texts and isinstance(taken, Mapping):
        whole, taken, vocabularies = _without_texts(model, taken)
    columns = sorted(taken) if isinstance(taken, Mapping) else None
    tensors = keras.tree.flatten(taken)
    names = _names([*columns] if columns else [one.name for one in tensors])
    inputs: list[Input] = []
    layers: list[Any] = []
    values: list[Any] = []
    for at, (name, tensor) in enumerate(zip(names, tensors, strict=True)):
        column = columns[at] if columns else name
        vocabulary = vocabularies.get(column, ())
        dtype = "int32" if vocabulary else str(tensor.dtype)
        name = names[at] = f"{name}_code" if vocabulary else name
        shape_here = (1,) if vocabulary else tuple(tensor.shape[1:])
        layer = keras.Input(shape_here, dtype=dtype, name=name)
        inputs.append(Input(name, column, (None, *shape_here), dtype, vocabulary))
        layers.append(layer)
        values.append(_one_hot(layer, len(vocabulary)) if vocabulary else layer)
    answers = keras.tree.flatten(whole(keras.tree.pack_sequence_as(taken, values)))
    given = dict(zip(names, layers, strict=True)) if len(layers) > 1 else layers[0]
    made = keras.Model(given, answers if len(answers) > 1 else answers[0])
    return Flat(made, tuple(inputs), len(answers))


def _inputs_of(model: Any, shape: Any) -> Any:
    if getattr(model, "inputs", None):
        return model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    if isinstance(shape, Mapping):
        return {name: keras.Input(one, name=_names([name])[0]) for name, one in shape.items()}
    if shape and isinstance(shape[0], tuple):
        return tuple(keras.Input(one) for one in shape)
    return keras.Input(shape, name="rows")


def _names(texts: Sequence[str]) -> list[str]:
    """Return names that every format takes, and no two alike."""
    found: list[str] = []
    for text in texts:
        name = re.sub(r"[^A-Za-z0-9_]", "_", text)
        name = name if re.match(r"[A-Za-z]", name) else f"column_{name}"
        while name.lower() in {other.lower() for other in found}:
            name += "_"
        found.append(name)
    return found


def _without_texts(model: Any, taken: Mapping[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
    """Return a model that begins behind its lookups of texts, its inputs, and each lookup's vocabulary by column."""
    lookups = [one for one in layers_of(model) if isinstance(one, keras.layers.StringLookup)]
    behind: dict[str, Any] = {}
    vocabularies: dict[str, Any] = {}
    for name, tensor in taken.items():
        if tensor.dtype != "string":
            behind[name] = tensor
        for lookup in (each for each in lookups if each.input is tensor):
            behind[name] = lookup.output
            vocabularies[name] = tuple(map(str, lookup.get_vocabulary()[1:]))
    # A column of texts that training dropped has no lookup, and is no input here.
    if not vocabularies:
        return model, taken, {}
    return keras.Model(behind, model.output), behind, vocabularies


def _one_hot(codes: Any, texts: int) -> Any:
    """Return what a lookup gives for texts, of their numbers: (rows, 1 + texts), at 0 what it does not know."""
    return keras.ops.one_hot(keras.ops.reshape(codes, (-1,)), 1 + texts, dtype="float32")


def write(made: Flat, format: str, to: Path, metadata: Mapping[str, Any]) -> Flat:
    """Write a flat model to a file, with its metadata; return it as the file takes rows. Raises what a library does."""
    told = {**metadata, "inputs": [one.to_plain() for one in made.inputs]}
    match format:
        case "saved_model":
            made.model.export(to, format="tf_saved_model", verbose=False)
            (to / EXTRA).mkdir()
            (to / EXTRA / METADATA).write_text(json.dumps(told), encoding="utf-8")
        case "tflite":
            made.model.export(to, format="litert", verbose=False)
            with zipfile.ZipFile(to, "a") as archive:
                archive.writestr(METADATA, json.dumps(told))
        case "onnx":
            return _write_onnx(made, to, metadata)
        case "pt2":
            _write_pt2(made, to, told)
    return made


def _write_onnx(made: Flat, to: Path, metadata: Mapping[str, Any]) -> Flat:
    """Write an ONNX file whose lookups of texts are operators of it (ai.onnx.ml LabelEncoder)."""
    import onnx
    from onnx import TensorProto, helper

    examples = {
        one.name: keras.ops.zeros((1, *(n or 1 for n in one.shape[1:])), one.dtype)
        for one in made.inputs
    }
    made.model(examples if len(examples) > 1 else next(iter(examples.values())))
    made.model.export(to, format="onnx", verbose=False)
    program = onnx.load(to)
    graph, inputs = program.graph, []
    for one in made.inputs:
        if not one.vocabulary:
            inputs.append(one)
            continue
        texts = one.name.removesuffix("_code")
        place = next(at for at, each in enumerate(graph.input) if each.name == one.name)
        graph.input.remove(graph.input[place])
        graph.input.insert(
            place, helper.make_tensor_value_info(texts, TensorProto.STRING, [None, *one.shape[1:]])
        )
        numbers = {"values_int64s": range(1, 1 + len(one.vocabulary)), "default_int64": 0}
        keys = {"keys_strings": list(one.vocabulary), **numbers}
        coded = helper.make_node(
            "LabelEncoder", [texts], [f"{one.name}_64"], domain="ai.onnx.ml", **keys
        )
        cast = helper.make_node("Cast", [f"{one.name}_64"], [one.name], to=TensorProto.INT32)
        graph.node.insert(0, cast)
        graph.node.insert(0, coded)
        inputs.append(Input(texts, one.column, one.shape, "string"))
    if any(one.vocabulary for one in made.inputs):
        program.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    told = {**metadata, "inputs": [one.to_plain() for one in inputs]}
    helper.set_model_props(program, {METADATA: json.dumps(told)})
    onnx.checker.check_model(program)
    onnx.save(program, to)
    return Flat(made.model, tuple(inputs), made.outputs)


def _write_pt2(made: Flat, to: Path, told: Mapping[str, Any]) -> None:
    import torch

    batch = torch.export.Dim("rows")
    sizes = {
        one.name: {0: batch}
        | {
            at: torch.export.Dim(f"{one.name}_{at}")
            for at, size in enumerate(one.shape)
            if at and size is None
        }
        for one in made.inputs
    }
    dynamic = [(sizes,)] if len(sizes) > 1 else next(iter(sizes.values()))
    made.model.export(to, format="torch", verbose=False, dynamic_shapes=dynamic)
    program = torch.export.load(to)
    torch.export.save(program, to, extra_files={METADATA: json.dumps(told)})


def ask(format: str, file: Path, rows: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return what a file answers, loaded from disk by the runtime of its format: an array an output, float64."""
    found = {
        "saved_model": _ask_saved_model,
        "tflite": _ask_tflite,
        "onnx": _ask_onnx,
        "pt2": _ask_pt2,
    }[format](file, rows)
    return [np.asarray(one, np.float64) for one in found]


def _ask_saved_model(file: Path, rows: Mapping[str, np.ndarray]) -> list[Any]:
    import tensorflow as tf

    serve = tf.saved_model.load(str(file)).signatures["serving_default"]
    return _in_order(serve(**{name: tf.constant(value) for name, value in rows.items()}))


def _ask_tflite(file: Path, rows: Mapping[str, np.ndarray]) -> list[Any]:
    import tensorflow as tf

    runner = tf.lite.Interpreter(model_path=str(file)).get_signature_runner()
    return _in_order(runner(**rows))


def _in_order(answers: Mapping[str, Any]) -> list[Any]:
    """Return outputs called output_0, output_1, … in their order."""
    return [answers[name] for name in sorted(answers, key=lambda name: (len(name), name))]


def _ask_onnx(file: Path, rows: Mapping[str, np.ndarray]) -> list[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return list(session.run(None, dict(rows)))


def _ask_pt2(file: Path, rows: Mapping[str, np.ndarray]) -> list[Any]:
    import torch

    tensors = {name: torch.from_numpy(value) for name, value in rows.items()}
    module = torch.export.load(file).module()
    with torch.no_grad():
        answers = module(tensors if len(tensors) > 1 else next(iter(tensors.values())))
    return [one.cpu().numpy() for one in keras.tree.flatten(answers)]
