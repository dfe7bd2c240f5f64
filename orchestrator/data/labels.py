"""Labels of any usual form become class numbers: strings, integers, booleans, one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.data.dataset import Array
from orchestrator.data.refusal import refused


@dataclass(frozen=True, eq=False)
class PlainLabels:
    """One label a row: booleans, integers or strings; ``width`` is the columns of one-hot rows."""

    values: Array
    width: int | None = None

    def unique(self) -> PlainLabels:
        """Return the different labels alone."""
        return PlainLabels(np.unique(self.values), self.width)


@dataclass(frozen=True, eq=False)
class Labels:
    """The classes in order, and the sorted label that stands for each."""

    classes: tuple[str, ...]
    values: Array

    def codes(self, plain: PlainLabels) -> npt.NDArray[np.int32]:
        """Return the class number of each row."""
        return np.searchsorted(self.values, plain.values).astype(np.int32)


def plain_labels(y: object, where: str) -> PlainLabels:
    """Return one label a row from what a user gave, or raise DataError in one sentence."""
    labels = _without_objects(np.asarray(y), where)
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        count = int(np.isnan(labels).sum())
        raise refused(where, "a label for every row was expected", f"{count} that are NaN")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim == 2:
        return _from_one_hot(labels, where)
    if labels.ndim != 1:
        expected = "labels of shape (rows,), or one-hot of shape (rows, classes), were expected"
        raise refused(where, expected, f"shape {labels.shape}")
    return PlainLabels(_whole(labels, where))


def find_classes(parts: Sequence[PlainLabels], where: str) -> Labels:
    """Return the classes of all the parts together; integers are in the order of their size."""
    widths = {part.width for part in parts}
    kinds = {_kind(part) for part in parts}
    if len(kinds) > 1 or len(widths) > 1:
        forms = sorted(_kind(part) + (f" of {part.width}" if part.width else "") for part in parts)
        expected = "labels of one form in all splits were expected"
        raise refused(where, expected, " and ".join(dict.fromkeys(forms)))
    width = widths.pop()
    values = (
        np.unique(np.concatenate([part.values for part in parts]))
        if width is None
        else np.arange(width)
    )
    if len(values) < 2:
        only = f"one class, {str(values[0])!r}" if len(values) else "no rows"
        raise refused(where, "labels of at least two classes were expected", only)
    return Labels(tuple(str(value) for value in values), values)


def _kind(part: PlainLabels) -> str:
    if part.width is not None:
        return "one-hot rows"
    return {"b": "booleans", "U": "strings"}.get(part.values.dtype.kind, "integers")


def _without_objects(labels: Array, where: str) -> Array:
    """Return labels of a NumPy type: strings for an array of str, bytes decoded."""
    if labels.dtype.kind == "S":
        return np.char.decode(labels, "utf-8")
    if labels.dtype.kind not in "OT":
        return labels
    items = labels.ravel().tolist()
    missing = sum(1 for item in items if item is None or item != item)
    if missing:
        raise refused(where, "a label for every row was expected", f"{missing} that are missing")
    kinds = {type(item) for item in items}
    if kinds <= {bytes}:
        items = [item.decode() for item in items]
    elif len(kinds) > 1 and str in kinds:
        names = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise refused(where, "labels of one type were expected", names)
    return np.array(items).reshape(labels.shape)


def _from_one_hot(labels: Array, where: str) -> PlainLabels:
    expected = "labels of shape (rows,), or one-hot of shape (rows, classes), were expected"
    if labels.dtype.kind not in "biuf":
        raise refused(where, expected, f"{labels.dtype.name} labels of shape {labels.shape}")
    ones = labels == 1
    if not (np.all(ones | (labels == 0)) and np.all(ones.sum(axis=1) == 1)):
        received = f"shape {labels.shape} with rows that are not one 1 among 0s"
        raise refused(where, expected, received)
    return PlainLabels(ones.argmax(axis=1), labels.shape[1])


def _whole(labels: Array, where: str) -> Array:
    """Return booleans, strings or int64; floats must be whole, since classes are no quantities."""
    kind = labels.dtype.kind
    if kind in "bU":
        return labels
    if kind in "iu":
        return labels.astype(np.int64)
    if kind == "f":
        broken = labels != np.floor(labels)
        if not broken.any() and np.isfinite(labels).all():
            return labels.astype(np.int64)
        first = float(labels[broken | ~np.isfinite(labels)][0])
        expected = "classes (integers, strings, booleans or one-hot) were expected, not quantities"
        raise refused(where, expected, f"labels such as {first!r}")
    expected = "classes (integers, strings, booleans or one-hot) were expected"
    raise refused(where, expected, f"labels of type {labels.dtype.name}")
