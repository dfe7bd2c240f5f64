"""Which row is for what (a stratified, seeded assignment, one byte a row), and how much each training row counts."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from orchestrator.data.dataset import PARTS, Dataset, Split
from orchestrator.data.messages import refused, several
from orchestrator.data.trees import Array, row_count
from orchestrator.errors import near_miss

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions

MANY_SMALL = 5
"""So many classes with hardly a row, all of them numbers, may be meant as quantities."""
ClassWeight = Literal["balanced"] | Mapping[str, float] | None


def missing_shares(given: Sequence[str], options: DataOptions) -> dict[str, float]:
    """Return the share to cut from the training rows for each split that the user does not give."""
    shares = {"validation": options.validation, "test": options.test}
    return {part: share for part, share in shares.items() if part not in given}


def assign_rows(
    codes: Array, classes: Sequence[str], shares: Mapping[str, float], seed: int, where: str
) -> npt.NDArray[np.uint8]:
    """Return for each row the index into PARTS of its split: a pure function of its arguments.

    Each class is cut by itself, in the shares given but at least one row a split; ``where`` opens
    an error. DataError for a class with fewer rows than splits.
    """
    counts = np.bincount(codes, minlength=len(classes))
    _check_enough(counts, classes, 1 + len(shares), where)
    rng = np.random.default_rng([seed, zlib.crc32(b"split")])
    by_class = np.argsort(codes, kind="stable")
    ends = np.cumsum(counts)
    assignment = np.zeros(len(codes), dtype=np.uint8)
    for count, end in zip(counts.tolist(), ends.tolist(), strict=True):
        rows = rng.permutation(by_class[end - count : end])
        start = 0
        for part, size in _sizes(count, shares).items():
            assignment[rows[start : start + size]] = PARTS.index(part)
            start += size
    return assignment


def assign_any(
    rows: int, shares: Mapping[str, float], seed: int, where: str
) -> npt.NDArray[np.uint8]:
    """Return for each row the index into PARTS of its split, drawn over all rows: for labels that are no classes."""
    if rows < 1 + len(shares):
        raise refused(where, f"at least {1 + len(shares)} rows were expected", str(rows))
    order = np.random.default_rng([seed, zlib.crc32(b"split")]).permutation(rows)
    assignment = np.zeros(rows, dtype=np.uint8)
    start = 0
    for part, size in _sizes(rows, shares).items():
        assignment[order[start : start + size]] = PARTS.index(part)
        start += size
    return assignment


def check_given(counts: Mapping[str, Array], classes: Sequence[str], where: str) -> None:
    """Return when every class has rows to learn from in the splits that the user gave, counted by class.

    One that is rare may have none among the rows that judge, as in Keras.
    """
    absent = [name for name, count in zip(classes, counts["train"], strict=True) if not count]
    if absent:
        index = list(classes).index(absent[0])
        rows = [f"{of[index]} rows in {part}" for part, of in counts.items() if of[index]]
        more = f" (so have {several(absent[1:])})" if absent[1:] else ""
        received = f"class {absent[0]!r} has {several(rows or ['no row'])} and none in train{more}"
        way_out = "Give train some of them, or leave them out."
        raise refused(where, "rows of every class were expected in train", received, way_out)


def _sizes(count: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Return how many of a class's rows each split gets; at least one stays for training."""
    sizes = {part: max(1, round(count * share)) for part, share in shares.items()}
    while sum(sizes.values()) >= count and sizes:
        largest = max(sizes, key=lambda part: sizes[part])
        sizes[largest] -= 1
    return sizes


def _check_enough(counts: Array, classes: Sequence[str], splits: int, where: str) -> None:
    few = [
        f"class {name!r} has {count}"
        for name, count in zip(classes, counts.tolist(), strict=True)
        if count < splits
    ]
    if few:
        expected = f"at least {splits} rows of each class were expected, one for each split"
        hint = "Leave rows of such classes out, or join them with others."
        if len(few) > MANY_SMALL and all(_is_number(name) for name in classes):
            hint += " For quantities write task: regression."
        raise refused(where, expected, several(few), hint)


def _is_number(name: str) -> bool:
    try:
        return math.isfinite(float(name))
    except ValueError:
        return False


def check_weights(given: Sequence[Any], x: Any, where: str) -> npt.NDArray[np.float32] | None:
    """Return sample weights as float32 (rows,), None where there are none; ``given`` holds at most one array."""
    if not given or given[0] is None:
        return None
    try:
        weights = np.asarray(given[0], dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise refused(where, "numbers were expected as sample weights", str(error)) from error
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.shape != (row_count(x),):
        expected = f"a sample weight for each of the {row_count(x)} rows was expected"
        raise refused(where, expected, f"shape {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise refused(
            where, "sample weights of at least 0, and some above, were expected", "others"
        )
    return weights


def weighted_by_class(dataset: Dataset, asked: ClassWeight, where: str) -> Dataset:
    """Return the dataset with its training rows weighted by class, as Keras's ``fit(class_weight=...)`` does.

    ``balanced``: rows / (classes x rows of the class), as in scikit-learn; a mapping gives a weight a class by its
    name, 1 where it has none. Sample weights are multiplied.
    """
    if asked is None:
        return dataset
    if dataset.labels.form != "classes":
        raise refused(
            where,
            "labels that are classes were expected for data.class_weight",
            dataset.labels.form,
        )
    codes = dataset.labels.view(dataset.train.labels, "codes")
    weights = _of_classes(asked, codes, dataset.classes, where)[codes].astype(np.float32)
    train: Split = dataset.train
    weights = weights if train.weight is None else weights * train.weight
    return replace(dataset, train=replace(train, weight=weights))


def _of_classes(
    asked: Any, codes: npt.NDArray[np.int32], classes: Sequence[str], where: str
) -> npt.NDArray[np.float64]:
    if asked == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        return len(codes) / (len(classes) * np.maximum(1, counts))
    named = {str(name): float(weight) for name, weight in asked.items()}
    for name in named:
        if name not in classes:
            hint = f"{near_miss(name, classes)} Classes: {several(list(classes), 20)}."
            raise refused(
                where, "classes of the data were expected in data.class_weight", repr(name), hint
            )
    return np.array([named.get(name, 1.0) for name in classes])
