"""Columns of a table become NumPy: numbers as they are, true/false as 1/0, text one-hot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.data.table_file import Column
from orchestrator.data.trees import Array


@dataclass(frozen=True)
class Encoder:
    """How the columns become features; ``categories`` holds each text column's texts in order.

    The texts are those of the training rows: another one is 0 in every column of its own.
    """

    columns: tuple[Column, ...]
    categories: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features: ``age``, ``colour=red``."""
        names: list[str] = []
        for column in self.columns:
            texts = self.categories.get(column.name)
            names += [column.name] if texts is None else [f"{column.name}={text}" for text in texts]
        return tuple(names)

    def encode(self, batch: Any) -> Array:
        """Return the features of a pyarrow batch or table, float64 (rows, len(names))."""
        features = np.zeros((batch.num_rows, len(self.names)))
        place = 0
        for column in self.columns:
            texts = self.categories.get(column.name)
            if texts is None:
                features[:, place] = numbers(batch.column(column.name))
                place += 1
                continue
            codes = _positions(batch.column(column.name), texts)
            known = np.flatnonzero(codes >= 0)
            features[known, place + codes[known]] = 1
            place += len(texts)
        return features


def numbers(column: Any) -> Array:
    """Return a column of numbers or booleans as float64, NaN where a value is missing."""
    values: Array = column.cast("float64", safe=False).to_numpy(zero_copy_only=False)
    return values


def texts(column: Any) -> Array:
    """Return a column of text as an object array of str, ``""`` where a value is missing."""
    plain = column.cast("string").fill_null("")
    values: Array = plain.to_numpy(zero_copy_only=False)
    return values


def raw_labels(column: Any, kind: str) -> tuple[Array, int]:
    """Return the labels that are there (str, bool, int64 or float64) and how many are missing."""
    import pyarrow.compute as pc

    if kind == "text":
        values = texts(column)
        there = values != ""
        return values[there].astype(str), int((~there).sum())
    kept = column.drop_null()
    missing = len(column) - len(kept)
    if kind == "flag":
        return np.asarray(kept.to_numpy(zero_copy_only=False), dtype=bool), missing
    if kind == "number":
        values = numbers(kept)
        there = ~np.isnan(values)
        return values[there], missing + int((~there).sum())
    return pc.cast(kept, "int64", safe=False).to_numpy(zero_copy_only=False), missing


def _positions(column: Any, known: tuple[str, ...]) -> Array:
    """Return the position of each text among those known, -1 for any other."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(column.cast("string"), value_set=pa.array(known, pa.string()))
    positions: Array = found.fill_null(-1).to_numpy(zero_copy_only=False)
    return positions
