"""Which row is for what: a stratified, seeded assignment, one byte a row."""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from orchestrator.data.dataset import PARTS
from orchestrator.data.refusal import refused, several
from orchestrator.data.trees import Array

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions


MANY_SMALL = 5
"""So many classes with hardly a row, all of them numbers, may be meant as quantities."""


def missing_shares(given: Sequence[str], options: DataOptions) -> dict[str, float]:
    """Return the share to cut from the training rows for each split that the user does not give."""
    shares = {"validation": options.validation, "test": options.test}
    return {part: share for part, share in shares.items() if part not in given}


def assign_rows(
    codes: Array, classes: Sequence[str], shares: Mapping[str, float], draw: tuple[int, str]
) -> npt.NDArray[np.uint8]:
    """Return for each row the index into PARTS of its split: a pure function of its arguments.

    Each class is cut by itself, in the shares given but at least one row a split; ``draw`` is the
    seed and the words that open an error. DataError for a class with fewer rows than splits.
    """
    seed, where = draw
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
    rows: int, shares: Mapping[str, float], draw: tuple[int, str]
) -> npt.NDArray[np.uint8]:
    """Return for each row the index into PARTS of its split, drawn over all rows: for labels that are no classes."""
    seed, where = draw
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
