"""Labels of any usual form: classes, flags, quantities or several outputs, and the views of them that losses take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from orchestrator.data.messages import refused
from orchestrator.data.trees import Array, as_keras_takes, leaves, map_tree
from orchestrator.errors import DataError

Form = Literal["classes", "flags", "quantities", "constant", "several"]
View = Literal["codes", "given", "flag", "columns", "standardized"]

MOST_CLASSES_UNASKED = 20
"""Beyond so many different numbers, labels of a floating type, or of which few are alike, are taken for quantities."""


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
    """What is known of the labels that a user gave.

    ``form``: classes (one a row), flags (rows of 0 and 1, any number of them 1), quantities, one constant, or several
    outputs.
    ``classes`` are their names in order and ``values`` the sorted label that stands for each (None: 0, 1, …); both are
    empty for other forms. ``width``: the columns of flags and quantities. ``fault`` says why labels are no classes.
    ``mean`` and ``std``: those of numbers over the training rows, a figure a column, once they are fitted. ``one_hot``:
    classes were given as rows of one 1 among 0s.
    """

    classes: tuple[str, ...] = ()
    values: Array | None = None
    form: Form = "classes"
    width: int = 1
    fault: str = ""
    mean: Array | None = None
    std: Array | None = None
    one_hot: bool = False

    @property
    def are_numbers(self) -> bool:
        """Whether the user gave numbers, which a loss could also take for quantities."""
        return self.values is None or self.values.dtype.kind not in "bU"

    @property
    def type(self) -> Literal["whole", "flag", "text"] | None:
        """What the user's labels of classes are: whole numbers, true/false or texts; None for other labels."""
        if self.form != "classes":
            return None
        kind = "i" if self.values is None else self.values.dtype.kind
        return {"b": "flag", "U": "text"}.get(kind, "whole")  # type: ignore[return-value]

    def codes(self, plain: PlainLabels) -> npt.NDArray[np.int32]:
        """Return the class number of each row."""
        if self.values is None:
            return plain.values.astype(np.int32)
        return np.searchsorted(self.values, plain.values).astype(np.int32)

    def numbers(self, given: Any) -> Any:
        """Return labels as numbers, as the user gave them: texts and booleans become class numbers."""
        if self.form == "classes" and leaves(given)[0][1].dtype.kind in "bU":
            return self.codes(plain_labels(given, ""))
        return map_tree(as_keras_takes, given)

    def view(self, numbers: Any, view: View) -> Any:
        """Return labels in the form that a loss takes; ``numbers`` are as ``numbers`` returns them.

        codes: int32 class numbers (rows,). flag: the same as float32 (rows, 1). columns: float32 (rows, width).
        standardized: those less their mean, by their standard deviation. given: as they are.
        """
        if view == "given":
            return numbers
        if view in ("codes", "flag"):
            are_codes = self.values is not None and self.values.dtype.kind in "bU"
            codes = (
                numbers.astype(np.int32)
                if are_codes
                else self.codes(plain_labels(numbers, "labels"))
            )
            return codes if view == "codes" else codes.astype(np.float32)[:, None]
        columns = np.asarray(numbers, dtype=np.float32).reshape(len(numbers), -1)
        if view == "columns" or self.mean is None or self.std is None:
            return columns
        return ((columns - self.mean) / self.std).astype(np.float32)

    def fitted(self, training: Any) -> Labels:
        """Return labels with the training rows' mean and standard deviation; a constant column is only shifted.

        Those of quantities, and of numbers that a model may take for quantities.
        """
        may_be = self.form == "classes" and self.are_numbers and not self.one_hot
        if self.form != "quantities" and not may_be:
            return self
        columns = np.asarray(training, dtype=np.float64).reshape(len(training), -1)
        std = columns.std(axis=0)
        return replace(self, mean=columns.mean(axis=0), std=np.where(std > 0, std, 1.0))


def outputs_of(y: Any, rows: int) -> Any:
    """Return a list of arrays of ``rows`` labels, one an output, as a tuple, and any other labels as they are."""
    several = isinstance(y, list | tuple) and len(y) not in (0, rows)
    if several and all(hasattr(one, "shape") and np.shape(one)[:1] == (rows,) for one in y):
        return tuple(y)
    return list(y) if isinstance(y, tuple) else y


def given_labels(y: object, where: str) -> Any:
    """Return labels as arrays of numbers, texts or booleans, without gaps; several outputs as a tree of those."""
    if isinstance(y, Mapping):
        return {str(name): given_labels(part, f"{where} {name!r}") for name, part in y.items()}
    if isinstance(y, tuple):
        return tuple(given_labels(part, f"{where} output {at}") for at, part in enumerate(y))
    labels = _without_objects(np.asarray(y), where)
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        count = int((~np.isfinite(labels)).sum())
        raise refused(
            where, "a label for every row was expected", f"{count} that are NaN or infinite"
        )
    if labels.dtype.kind not in "biufU":
        raise refused(
            where, "labels of numbers, texts or booleans were expected", labels.dtype.name
        )
    return labels


def describe(parts: Sequence[Any], where: str) -> Labels:
    """Return what the labels of all parts together are; ``parts`` are as ``given_labels`` returns them.

    Raises DataError for texts that are no classes: they are nothing else.
    """
    if any(isinstance(part, dict | tuple) for part in parts):
        return Labels(form="several", width=0, fault="the labels are of several outputs")
    try:
        labels = find_classes([plain_labels(part, where) for part in parts], where)
    except DataError as error:
        flags = all(part.dtype.kind == "b" and part.ndim > 1 for part in parts)
        if any(part.dtype.kind in "bU" for part in parts) and not flags:
            raise
        return _no_classes(parts, str(error), where)
    floats = all(part.dtype.kind == "f" for part in parts)
    rows = sum(len(part) for part in parts)
    texts = any(part.dtype.kind in "bU" for part in parts)
    many = len(labels.classes) > MOST_CLASSES_UNASKED and not texts
    if many and (floats or len(labels.classes) > rows / 3):
        fault = f"{where}: classes were expected. Received: {len(labels.classes)} different numbers in {rows} rows."
        return Labels(form="quantities", fault=fault)
    return labels


def of_task(labels: Labels, parts: Mapping[str, Any], task: str, where: str) -> Labels:
    """Return the labels as a task that was asked for takes them. Raises DataError where they are nothing for it."""
    if task == "auto" or labels.form == "several":
        return labels
    if task in ("classification", "binary"):
        if labels.form != "classes":
            first = find_classes([plain_labels(part, where) for part in parts.values()], where)
            labels = first
        if task == "binary" and len(labels.classes) != 2:
            raise refused(
                where, "two classes were expected for task: binary", f"{len(labels.classes)}"
            )
        return labels
    arrays = list(parts.values())
    if any(array.dtype.kind in "bU" and task == "regression" for array in arrays):
        raise refused(where, "numbers were expected for task: regression", arrays[0].dtype.name)
    other = _no_classes(arrays, f"the task is {task}", where)
    if task == "multilabel" and other.form != "flags":
        expected = "rows of 0 and 1, a column a label, were expected for task: multilabel"
        raise refused(where, expected, f"labels of shape {arrays[0].shape}")
    return replace(other, form="quantities") if task == "regression" else other


def _no_classes(parts: Sequence[Array], fault: str, where: str) -> Labels:
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        raise refused(where, "labels of one form in all splits were expected", f"shapes {shapes}")
    shape = shapes.pop()
    width = int(np.prod(shape, dtype=int))
    if len({value for part in parts for value in np.unique(part).tolist()}) < 2:
        return Labels(form="constant", width=width, fault=fault)
    if len(shape) == 1 and width > 1 and all(np.isin(part, (0, 1)).all() for part in parts):
        return Labels(form="flags", width=width, fault=fault)
    return Labels(form="quantities", width=width, fault=fault)


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
    return Labels(tuple(str(value) for value in values), values, one_hot=width is not None)


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
