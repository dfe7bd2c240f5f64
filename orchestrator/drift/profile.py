"""What is remembered of training data, and looked at of today's: features by name, labels, a seeded sample of rows.

A run keeps the profile of its training rows, so that drift can be named when the file that they came from is long
replaced. It is small (``KEPT_ROWS`` rows, at most ``KEPT_NUMBERS`` numbers) and holds no more than a copy of these rows
would. With 0 rows it holds quantiles and counts alone.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from orchestrator.data import Array, Dataset, StreamedDataset, leaves, map_tree, row_count
from orchestrator.data.trees import take

KEPT_ROWS = 256
KEPT_NUMBERS = 250_000
LOOKED_AT = 2_000
LOOKED_AT_NUMBERS = 20_000_000
"""Of wide rows, such as large pictures, fewer are looked at: as many as have so many numbers."""
READ_FOR_EACH = 25
"""Of a stream so many rows are read for each one that is looked at: its first ones may be all of one class."""
MOST_FEATURES = 1_024
"""Pictures are made smaller, and of wider rows some columns are taken, to come to so many features."""
DIGITS = 5
"""Significant digits: scaling and its way back change no more than the seventh."""
QUANTILES = 65
LabelKind = Literal["classes", "quantities", "other"]


@dataclass(frozen=True, eq=False)
class Profile:
    """Rows of data in plain columns, before any scaling.

    ``numbers`` (rows, features) float64 are called ``names``; ``texts`` are columns of texts; ``labels`` (rows,) are
    names of classes, or quantities, None for others. ``counts`` are all labelled rows by class, those that judge too;
    ``total`` is how many training rows there are, of which these are a sample; ``read`` how many of a stream's it was
    drawn from, 0 for data in memory. ``quantiles`` (QUANTILES, features)
    stand for numbers of which no rows were kept. ``shape`` is that of a row whose numbers are all there, None of
    others. ``x`` are the same rows as a saved model takes them, where they are at hand.
    """

    names: tuple[str, ...]
    numbers: Array
    texts: Mapping[str, Array] = field(default_factory=dict)
    labels: Array | None = None
    kind: LabelKind = "other"
    counts: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    read: int = 0
    picture: bool = False
    quantiles: Array | None = None
    shape: tuple[int, ...] | None = None
    x: Any = None

    @property
    def rows(self) -> int:
        """How many rows are at hand."""
        return len(self.numbers)

    def sample_said(self, when: str) -> str:
        """Say in words which of the training rows these are; empty where they are all."""
        if self.rows >= self.total:
            return ""
        among = f"the first {self.read:,} of " if 0 < self.read < self.total else ""
        return f"{self.rows:,} of {among}{self.total:,} training rows of {when}"

    def only(self, chosen: Array) -> Profile:
        """Return the profile of some of its rows, by their indices."""
        texts = {name: values[chosen] for name, values in self.texts.items()}
        labels = None if self.labels is None else self.labels[chosen]
        return replace(self, numbers=self.numbers[chosen], texts=texts, labels=labels, x=None)

    def kept(self, rows: int = KEPT_ROWS) -> Profile:
        """Return what a run keeps of it."""
        width = max(1, self.numbers.shape[1] + len(self.texts))
        rows = min(rows, self.rows, KEPT_NUMBERS // width)
        some = np.sort(np.random.default_rng(0).permutation(self.rows)[:rows])
        # Quantiles are of all rows at hand, the kept ones are a part of them.
        finite = np.where(np.isfinite(self.numbers), self.numbers, np.nan)
        quantiles = (
            np.nanquantile(finite, np.linspace(0, 1, QUANTILES), axis=0) if self.rows else None
        )
        return replace(self.only(some), quantiles=quantiles)

    def to_bytes(self) -> bytes:
        """Return it as a compressed archive of arrays that holds no pickle."""
        about = {
            "names": list(self.names),
            "kind": self.kind,
            "counts": dict(self.counts),
            "total": self.total,
            "read": self.read,
            "picture": self.picture,
            "texts": list(self.texts),
            "shape": self.shape,
        }
        arrays: dict[str, Array] = {"numbers": self.numbers.astype(np.float32)}
        if self.quantiles is not None:
            arrays["quantiles"] = self.quantiles.astype(np.float32)
        if self.labels is not None:
            arrays["labels"] = self.labels
        arrays |= {f"text_{at}": each.astype(str) for at, each in enumerate(self.texts.values())}
        written = io.BytesIO()
        np.savez_compressed(written, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
        return written.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Profile:
        """Return the profile that ``to_bytes`` wrote. Raises ValueError for anything else."""
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        about = json.loads(str(arrays["about"]))
        texts = {name: arrays[f"text_{at}"] for at, name in enumerate(about["texts"])}
        quantiles, shape = arrays.get("quantiles"), about["shape"]
        numbers = significant(arrays["numbers"].astype(np.float64))
        x: Any = None
        if shape is not None:
            x = numbers.reshape(len(numbers), *shape).astype(np.float32)
        return cls(
            tuple(about["names"]),
            numbers,
            texts,
            arrays.get("labels"),
            about["kind"],
            about["counts"],
            about["total"],
            about.get("read", 0),
            about["picture"],
            None if quantiles is None else significant(quantiles.astype(np.float64)),
            None if shape is None else tuple(shape),
            x,
        )


def profile_of(dataset: Dataset | StreamedDataset) -> Profile:
    """Return the profile of a dataset's training rows, at most ``LOOKED_AT`` of them: the same ones at every call.

    A stream is read for ``READ_FOR_EACH`` times as many rows, no further.
    """
    most = most_rows(dataset.input_shape, LOOKED_AT)
    x, given, counted, read = (
        _of_stream(dataset, most)
        if isinstance(dataset, StreamedDataset)
        else _of_rows(dataset, most)
    )
    names, numbers, texts, picture = _columns(x, dataset)
    single = isinstance(x, np.ndarray) and dataset.table is None
    whole_row = single and numbers.shape[1] == int(np.prod(x.shape[1:]))
    kind, labels, counts = _labels(dataset, given, counted)
    return Profile(
        names,
        significant(numbers),
        texts,
        labels,
        kind,
        counts,
        int(dataset.train.rows),
        read,
        picture,
        shape=tuple(x.shape[1:]) if whole_row else None,
        x=raw_rows(x, dataset),
    )


def most_rows(shape: Any, rows: int) -> int:
    """Return how many of ``rows`` are looked at at most: fewer of such that have many numbers."""
    return min(rows, max(1, LOOKED_AT_NUMBERS // max(1, _width(shape))))


def _width(shape: Any) -> int:
    """Return how many numbers a row of this shape has, or one of a tree of shapes."""
    if isinstance(shape, Mapping):
        return sum(map(_width, shape.values()))
    if all(isinstance(size, int | None) for size in shape):
        return math.prod(size or 1 for size in shape)
    return sum(map(_width, shape))


def raw_rows(x: Any, dataset: Dataset | StreamedDataset) -> Any:
    """Return rows of a dataset as a saved model takes them: a table's by column, gaps filled; arrays unscaled."""
    if dataset.table is not None:
        names, numbers, texts, _ = _of_table(_unscaled(np.asarray(x), dataset.scaling), dataset)
        return {**{name: numbers[:, at] for at, name in enumerate(names)}, **texts}
    if dataset.scaling.get("how", "none") == "none":
        return x
    return map_tree(lambda each: _unscaled(each, dataset.scaling).astype(np.float32), x)


def significant(values: Array) -> Array:
    """Return numbers to ``DIGITS`` significant digits."""
    with np.errstate(divide="ignore", invalid="ignore"):
        exponents = np.floor(np.log10(np.abs(values)))
    size = 10.0 ** np.where(np.isfinite(exponents), exponents, 0.0)
    rounded: Array = np.round(values / size, DIGITS - 1) * size
    return rounded


Looked = tuple[Any, Any, list[Any], int]
"""Features and labels of the rows that are looked at, the labels that are counted, and how many rows were read."""


def _of_rows(dataset: Dataset, most: int) -> Looked:
    split = dataset.train
    # Not the experiment's seed: the same rows are drawn of the same file, whatever that is.
    chosen = np.sort(np.random.default_rng(0).permutation(split.rows)[:most])
    # A split keeps the shares of classes: the rows that judge tell of them as well.
    counted = [part.labels for part in (split, dataset.validation, dataset.test)]
    return take(split.x, chosen), take(split.labels, chosen), counted, 0


def _of_stream(dataset: StreamedDataset, most: int) -> Looked:
    found = dataset.viewed("given").train.sample(most, READ_FOR_EACH * most)
    return found.x, found.y, [found.labels], found.read


def _labels(
    dataset: Dataset | StreamedDataset, given: Any, counted: Sequence[Any]
) -> tuple[LabelKind, Array | None, dict[str, int]]:
    labels = dataset.labels
    if labels.form == "classes" and labels.classes:
        names = np.array(labels.classes)
        found = names[labels.view(given, "codes")]
        codes = np.concatenate([labels.view(each, "codes") for each in counted])
        counts = np.bincount(codes.astype(int).ravel(), minlength=len(names)).tolist()
        there = zip(labels.classes, counts, strict=True)
        return "classes", found, {str(name): count for name, count in there if count}
    if labels.form == "quantities" and labels.width == 1:
        return "quantities", significant(labels.view(given, "columns")[:, 0].astype(float)), {}
    return "other", None, {}


def _columns(
    x: Any, dataset: Dataset | StreamedDataset
) -> tuple[tuple[str, ...], Array, dict[str, Array], bool]:
    """Return a table's columns, or the features of arrays by their places; and whether they are pictures."""
    if dataset.table is not None:
        return _of_table(_unscaled(np.asarray(x), dataset.scaling), dataset)
    parts = leaves(x)
    names: list[str] = []
    blocks: list[Array] = []
    picture = False
    for name, array in parts:
        values = _unscaled(array, dataset.scaling).astype(np.float64)
        is_picture = values.ndim == 4
        picture = picture or is_picture
        values = _smaller(values) if is_picture else values
        flat = values.reshape(row_count(array), -1)
        places = [tuple(map(int, at)) for at in np.ndindex(*values.shape[1:])]
        prefix = f"{name} " if len(parts) > 1 else ""
        word = "pixel" if is_picture else "feature"
        names += [f"{prefix}{word} {','.join(map(str, at))}".rstrip() for at in places]
        blocks.append(flat)
    numbers = np.concatenate(blocks, axis=1)
    if numbers.shape[1] > MOST_FEATURES:
        some = np.sort(np.random.default_rng(0).permutation(numbers.shape[1])[:MOST_FEATURES])
        return tuple(names[at] for at in some), numbers[:, some], {}, picture
    return tuple(names), numbers, {}, picture


def _of_table(
    features: Array, dataset: Dataset | StreamedDataset
) -> tuple[tuple[str, ...], Array, dict[str, Array], bool]:
    columns = dataset.table.columns if dataset.table is not None else ()
    names: list[str] = []
    numbers: list[Array] = []
    texts: dict[str, Array] = {}
    place = 0
    for column in columns:
        width = len(column.features)
        block = features[:, place : place + width]
        place += width
        if column.kind != "text":
            names.append(column.name)
            numbers.append(block[:, 0].astype(np.float64))
            continue
        known = np.array([*column.categories, ""])
        at = (
            np.where(block.max(axis=1, initial=0) > 0.5, block.argmax(axis=1), width)
            if width
            else 0
        )
        texts[column.name] = known[np.broadcast_to(at, len(features))]
    together = np.column_stack(numbers) if numbers else np.zeros((len(features), 0))
    return tuple(names), together, texts, False


def _unscaled(values: Array, scaling: Mapping[str, Any]) -> Array:
    """Return features as they were before ``data/scaling.py`` scaled them."""
    if scaling.get("how") == "standard":
        shift, divisor = np.asarray(scaling["mean"]), np.asarray(scaling["std"])
    elif scaling.get("how") == "minmax":
        shift, high = np.asarray(scaling["min"]), np.asarray(scaling["max"])
        divisor = np.where(high > shift, high - shift, 1.0)
    else:
        return values
    return _on_grid(values * divisor + shift, np.abs(shift) + divisor)


def _on_grid(values: Array, size: Array) -> Array:
    """Return features rounded to so many decimals that ``DIGITS`` digits of the largest one stay.

    What scaling and its way back add lies below that. It would make every 0 another number in each data set. ``size``
    is that of what was added and multiplied, for each entry of the last axis: of a pixel that is always black, the
    picture's.
    """
    rounded = np.array(values, dtype=np.float64)
    columns = rounded.reshape(len(rounded), -1)
    largest = np.abs(columns).max(axis=0, initial=0.0, where=np.isfinite(columns))
    largest = np.maximum(largest, np.broadcast_to(size, rounded.shape[1:]).reshape(-1))
    for at in np.flatnonzero(largest):
        decimals = DIGITS - 1 - math.floor(math.log10(largest[at]))
        columns[:, at] = np.round(columns[:, at], decimals)
    return rounded


def _smaller(pictures: Array) -> Array:
    """Return pictures (rows, height, width, channels) as means of square blocks, of at most MOST_FEATURES numbers."""
    rows, height, width, channels = pictures.shape
    by = int(np.ceil(np.sqrt(height * width * channels / MOST_FEATURES)))
    if by <= 1 or height < by or width < by:
        return pictures
    tall, wide = height // by, width // by
    cut = pictures[:, : tall * by, : wide * by].reshape(rows, tall, by, wide, by, channels)
    means: Array = cut.mean(axis=(2, 4))
    return means
