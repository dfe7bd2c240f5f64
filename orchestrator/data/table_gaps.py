"""What stands for the gaps of each column: found on the training rows, the same in every pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from orchestrator.data.refusal import refused, several
from orchestrator.data.table_kinds import Column
from orchestrator.data.table_recipe import ColumnRecipe
from orchestrator.data.trees import Array
from orchestrator.errors import DataError

MOST_BYTES = 2**30


class Fills:
    """Collects training values, and gives what fills a column's gaps by ``how``.

    The median and the most frequent value need all values of a column: eight bytes each, at most
    ``MOST_BYTES`` together. They are collected of true/false, and of numbers that have gaps: other
    numbers get no such fill.
    """

    def __init__(self, how: str, where: str) -> None:
        self.how = how
        self._where = where
        self._values: dict[str, list[Array]] = {}
        self._bytes = 0

    def wanted(self, columns: Sequence[Column], missing: Counter[str]) -> list[str]:
        """Return the columns whose values are to be collected, once all gaps are counted."""
        if self.how == "refuse":
            return []
        numbers = self.how != "mean"
        return [
            column.name
            for column in columns
            if column.kind == "flag" or (numbers and column.kind != "text" and missing[column.name])
        ]

    def add(self, name: str, values: Array) -> None:
        """Take in training values of a column, NaN where one is missing."""
        self._values.setdefault(name, []).append(values[~np.isnan(values)])
        self._bytes += values.nbytes
        if self._bytes > MOST_BYTES:
            expected = f"columns with gaps of at most {MOST_BYTES >> 20} MiB were expected"
            hint = "Write data.missing: mean, which needs no memory."
            raise refused(self._where, expected, f"data.missing: {self.how}", hint)

    def number(self, column: Column, mean: float) -> float | None:
        """Return what fills a column of numbers or true/false; None where nothing does."""
        if self.how == "mean" and column.kind != "flag":
            if np.isnan(mean):
                raise self._nothing_there(column.name)
            return mean
        if column.name not in self._values:
            return None
        values = np.concatenate(self._values[column.name])
        if not len(values):
            raise self._nothing_there(column.name)
        if column.kind == "flag" or self.how == "most_frequent":
            different, counts = np.unique(values, return_counts=True)
            return float(different[counts.argmax()])
        return float(np.median(values))

    def text(self, column: Column, there: Mapping[str, int]) -> str | None:
        """Return the most frequent text, of equally frequent ones the first by alphabet."""
        if self.how == "refuse":
            return None
        if not there:
            raise self._nothing_there(column.name)
        return min(there, key=lambda text: (-there[text], text))

    def notes(self, columns: Sequence[ColumnRecipe], missing: Counter[str]) -> list[str]:
        """Return a sentence about what was filled with what."""
        filled = [
            f"{missing[column.name]} in column {column.name!r} with {_shown(column.fill)}"
            for column in columns
            if missing[column.name]
        ]
        return [f"gaps were filled by data.missing: {several(filled)}"] if filled else []

    def _nothing_there(self, name: str) -> DataError:
        expected = f"a value to fill gaps with was expected in column {name!r}"
        hint = f"Leave it out with data.drop: [{name}]."
        return refused(self._where, expected, "no value in any training row", hint)


def _shown(fill: float | str | None) -> str:
    return repr(fill) if isinstance(fill, str) else f"{fill or 0:g}"
