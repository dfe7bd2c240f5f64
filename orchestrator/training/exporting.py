"""A process in which a winner is converted to another format, and asked again from the file that was written.

Converters bring a backend of their own, print, and at times end their process: here that harms nobody. Importing this
loads no Keras.
"""

from __future__ import annotations

import importlib.util
import math
import os
import shutil
import signal
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.data import TableRecipe, map_tree
from orchestrator.errors import (
    OrchestratorError,
    PlaceError,
    RecordError,
    explain,
    said_by,
    shortened,
)
from orchestrator.training.keras_setup import BACKEND, set_up_keras
from orchestrator.training.trial_process import UsersProcess

if TYPE_CHECKING:
    from orchestrator.training.calibration import Tempering

ROWS = 100
"""On how many rows a file has to answer as the run's model does."""
CLOSE = 5e-4
"""By how much outputs may differ: of probabilities, or in standard deviations of an output over these rows."""
FLOAT_STEPS, TINY = 1e-3, 1e-30
"""An output's spread counts as at least this share of its size: float32 has seven digits, its sums fewer."""
CLOSE_IN_HALF = 5e-3
"""The same of a model that computes in half precision somewhere: each runtime rounds in its own places."""


@dataclass(frozen=True)
class Format:
    """A format: how its files are called, on which of Keras's backends they are made, which packages that takes.

    ``keras`` is the first version of Keras that writes it.
    """

    ending: str
    words: str
    backend: str | None = None
    packages: tuple[str, ...] = ()
    extra: str = ""
    keras: tuple[int, int] = (3, 0)

    @property
    def is_written(self) -> bool:
        """Return whether the Keras that is installed writes it."""
        return tuple(map(int, version("keras").split(".")[:2])) >= self.keras

    def check_installed(self, where: str) -> None:
        """Raise PlaceError where a package is not there, or Keras too old."""
        if not self.is_written:
            expected = f"expected Keras {self.keras[0]}.{self.keras[1]} or newer, which writes {self.words}"
            raise PlaceError(
                f"{explain(where, expected, version('keras'))} Install it: pip install --upgrade keras."
            )
        absent = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if absent:
            pip = self.packages[-1] if len(self.packages) == 1 else " ".join(self.packages)
            raise PlaceError(
                f"{where}: expected what writes and checks {self.words}. Received: an environment without"
                f" {' and '.join(absent)}. Install it: pip install 'orchestrator[{self.extra}]' (or pip install {pip})."
            )


FORMATS = {
    "keras": Format(".keras", "a Keras model"),
    "saved_model": Format("/", "a TensorFlow SavedModel", BACKEND, ("tensorflow",), "tensorflow"),
    "tflite": Format(
        ".tflite",
        "a LiteRT (TensorFlow Lite) file",
        BACKEND,
        ("tensorflow",),
        "tensorflow",
        (3, 13),
    ),
    "onnx": Format(".onnx", "an ONNX file", BACKEND, ("tf2onnx", "onnx", "onnxruntime"), "onnx"),
    "pt2": Format(".pt2", "a PyTorch program", "torch", ("torch",), "torch"),
}


@dataclass(frozen=True)
class Original:
    """A run's winner: the folder it lies in, its builder, its temperature, its table, the shape of a row."""

    best: Path
    builder: CallableReference | None
    tempering: Tempering | None
    table: TableRecipe | None
    shape: Any


@dataclass(frozen=True)
class Order:
    """What is asked of a process: an original's answers for raw rows; with a ``file``, one that has to give them."""

    original: Original
    rows: Any
    file: File | None = None


@dataclass(frozen=True)
class File:
    """A file to write: ``expected`` holds an array an output, of ``probabilities`` or of other figures."""

    to: Path
    format: str
    metadata: Mapping[str, Any]
    expected: tuple[np.ndarray, ...]
    probabilities: bool

    @property
    def words(self) -> str:
        """What it is called."""
        return FORMATS[self.format].words


@dataclass(frozen=True)
class Exported:
    """A file that was checked: its inputs as its ``metadata.json`` has them, and by how much its answers were off."""

    inputs: tuple[Mapping[str, Any], ...]
    off: float


class ExportProcess(UsersProcess):
    """Answers for a winner on one of Keras's backends, and converts it."""

    serves = "exporting"

    def do(self, order: Order) -> Any:
        """Return (answers, whether they are probabilities), or Exported of a file that was written.

        Raises RecordError where the model cannot be had in that format, or answers otherwise there.
        """
        self.start()
        try:
            self._here.send(order)
            answer = self._here.recv()
        except (EOFError, OSError):
            what = order.file.words if order.file else "a model that answers"
            raise RecordError(
                f"export: expected {what}. Received: a process that ended before (exit code {self._end()})."
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer


def serve(there: Connection) -> None:
    """Do what is ordered until the other end is closed. What libraries print is not shown."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides how long this one lives
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    set_up_keras(os.cpu_count() or 1)
    while True:
        try:
            order = there.recv()
        except EOFError:
            return
        there.send(_done(order))


def _done(order: Order) -> Any:
    original, rows = order.original, order.rows
    try:
        return _written(original, rows, order.file) if order.file else _answers(original, rows)
    except OrchestratorError as error:
        return type(error)(str(error))


def _loaded(original: Original) -> Any:
    from orchestrator.training.saved_model import are_kept, load_model
    from orchestrator.training.saving import rebuilt

    file = original.best / "model.keras"
    if not file.exists() and original.builder is not None and are_kept(original.best):
        return rebuilt(original.best, original.builder)
    return load_model(file, original.builder)


def _answers(original: Original, rows: Any) -> tuple[tuple[np.ndarray, ...], bool]:
    """Return what the winner answers, an array an output, and whether these are probabilities."""
    outputs, probabilities = _predicted(_loaded(original), original, rows)
    if original.tempering is None:
        return outputs, probabilities
    return tuple(original.tempering.of(one) for one in outputs), True


def _predicted(model: Any, original: Original, rows: Any) -> tuple[tuple[np.ndarray, ...], bool]:
    from orchestrator.training.portable import predicted

    found = predicted(model, iter([rows]), original.table)
    return tuple(found.by_name.values()), found.probabilities


def _written(original: Original, rows: Any, file: File) -> Exported:
    """Write the file, load it again, and compare its answers, of all rows together and of one alone."""
    model = _to_convert(original)
    try:
        with UsersCode(f"export to {file.to.name}", None, RecordError):
            convert = _as_keras if file.format == "keras" else _as_other
            inputs, answers = convert(model, original, rows, file)
    except RecordError as error:
        cause = error.__cause__
        if cause is None:
            raise
        said = shortened((said_by(cause).strip().splitlines() or [""])[0])
        raise RecordError(
            f"export: expected a model that can become {file.words}. Received: one whose conversion ended with"
            f" {type(cause).__name__}: {said}"
        ) from None
    off = max(distance(each, file) for each in answers)
    close = CLOSE_IN_HALF if _computes_in_half(model) else CLOSE
    if not off <= close:
        raise RecordError(
            f"export: expected {file.words} that answers as the run's model does. Received: one that is off by"
            f" {off:.2g} on {len(file.expected[0])} rows, where {close:g} is allowed. No file was kept."
        )
    return Exported(tuple(inputs), off)


def _to_convert(original: Original) -> Any:
    """Return the winner as it is to be written, with its temperature."""
    from orchestrator.training.portable import with_temperature

    model, how = _loaded(original), original.tempering
    if how is None:
        return model
    whole = with_temperature(model, how)
    if whole is None:
        raise RecordError(
            "--calibrated: expected a winner around which Keras can put a layer. Received: a subclassed model, or one"
            f" of several outputs. 'orchestrator predict --calibrated' applies the temperature, {how.temperature:.4g},"
            " to its outputs."
        )
    return whole


def _computes_in_half(model: Any) -> bool:
    from orchestrator.training.keras_internals import layers_of

    return any("16" in str(getattr(layer, "compute_dtype", "")) for layer in layers_of(model))


def _as_keras(model: Any, original: Original, rows: Any, file: File) -> Any:
    """Write a ``.keras`` file, without a temperature the run's own; return its inputs and what it answers."""
    from orchestrator.training.portable import write_metadata
    from orchestrator.training.saved_model import load_model

    if original.tempering is None:
        shutil.copyfile(original.best / "model.keras", file.to)
    else:
        model.save(file.to)
        write_metadata(file.to, file.metadata)
    again = load_model(file.to, original.builder)
    return (), [_predicted(again, original, each)[0] for each in (rows, _first(rows))]


def _as_other(model: Any, original: Original, rows: Any, file: File) -> Any:
    """Write a file of another format; return its inputs, and what its own runtime has it answer."""
    from orchestrator.training import export_formats as formats
    from orchestrator.training.portable import as_plain

    made = formats.flat(model, original.shape, texts=file.format in formats.WITH_TEXTS)
    made = formats.write(made, file.format, file.to, file.metadata)
    fed = made.fed(as_plain(rows, original.table))
    asked = [formats.ask(file.format, file.to, each) for each in (fed, _first(fed))]
    return [one.to_plain() for one in made.inputs], asked


def _first(rows: Any) -> Any:
    """Return the first row alone, of a tree of arrays."""
    return map_tree(lambda array: array[:1], rows)


def distance(found: Sequence[np.ndarray], file: File) -> float:
    """Return the largest difference from what was expected, infinite where shapes or gaps differ.

    Of probabilities it is their own, of other outputs in standard deviations of that output over all rows.
    """
    largest = 0.0
    if len(found) != len(file.expected):
        return math.inf
    for one, whole in zip(found, file.expected, strict=True):
        expected = whole[: len(one)]
        if one.shape != expected.shape or not np.array_equal(
            np.isfinite(one), np.isfinite(expected)
        ):
            return math.inf
        unit = 1.0 if file.probabilities else _spread(whole)
        known = np.isfinite(expected)
        differences = (np.abs(one - expected) / unit)[known]
        largest = max(largest, float(differences.max(initial=0.0)))
    return largest


def _spread(outputs: np.ndarray) -> Any:
    """Return the standard deviation of each output, of one that does not vary its size, never 0.

    Float32 has seven digits: of numbers far from 0 what it cannot tell apart is no difference.
    """
    values = np.where(np.isfinite(outputs), outputs, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of an output that is never finite
        spread, size = np.nanstd(values, axis=0), np.nanmax(np.abs(values), axis=0)
    return np.nan_to_num(np.maximum(spread, size * FLOAT_STEPS), nan=1.0) + TINY
