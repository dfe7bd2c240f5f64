"""Columns of a table become NumPy by a recipe: numbers as they are, true/false as 1/0, text one-hot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from orchestrator.data.table_kinds import Column
from orchestrator.data.table_texts import to_flags, to_numbers, to_whole
from orchestrator.data.trees import Array


@dataclass(frozen=True)
class ColumnRecipe:
    """A column as it lies in the file, and what is made of it.

    ``number``: one feature. ``flag``: true/false, one feature of 1 and 0. ``text``: one feature for
    each of ``categories``, in their order, 1 where the text is that one; a text that is none of
    them is 0 in all. ``fill`` stands for a gap, found on the training rows: a number, 1 or 0 for a
    flag, a text; None where gaps are refused. ``gaps`` are the texts that were read as gaps beside
    an empty one, ``decimal`` is the decimal mark, in a CSV file.
    """

    name: str
    kind: Literal["number", "flag", "text"]
    fill: float | str | None = None
    categories: tuple[str, ...] = ()
    decimal: str = "."
    gaps: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes: ``age``, or ``colour=red``."""
        if self.kind != "text":
            return (self.name,)
        return tuple(f"{self.name}={text}" for text in self.categories)


@dataclass(frozen=True)
class TableRecipe:
    """A table's feature columns in order, how its gaps are filled, and what was noticed.

    ``notes`` are sentences for the user: columns that look like identifiers, numbers read with a
    decimal comma, gaps that were filled. ``named``: whether the saved model can have an input a column.
    """

    columns: tuple[ColumnRecipe, ...]
    label: str | None = None
    sample_weight: str | None = None
    missing: str = "refuse"
    notes: tuple[str, ...] = ()
    named: bool = True

    @property
    def features(self) -> tuple[str, ...]:
        """The names of all features, in their order."""
        return tuple(name for column in self.columns for name in column.features)

    def to_plain(self) -> dict[str, Any]:
        """Return it as mappings, lists, texts and numbers: what JSON holds."""
        plain = asdict(self)
        if self.named:
            del plain["named"]  # as older records have it
        plain["columns"] = [
            {**column, "categories": list(column["categories"]), "gaps": list(column["gaps"])}
            for column in plain["columns"]
        ]
        return {**plain, "notes": list(self.notes)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TableRecipe:
        """Return the recipe that ``to_plain`` wrote."""
        columns = tuple(
            ColumnRecipe(
                **{
                    **column,
                    "categories": tuple(column["categories"]),
                    "gaps": tuple(column["gaps"]),
                }
            )
            for column in plain["columns"]
        )
        return cls(**{**plain, "columns": columns, "notes": tuple(plain["notes"])})


def encode(recipe: TableRecipe, batch: Any) -> Array:
    """Return the features of a typed pyarrow batch or table, float64 (rows, features)."""
    features = np.zeros((batch.num_rows, len(recipe.features)))
    place = 0
    for column in recipe.columns:
        if column.kind != "text":
            values = numbers(batch.column(column.name))
            features[:, place] = values if column.fill is None else _filled(values, column)
            place += 1
            continue
        codes = _positions(batch.column(column.name), column)
        known = np.flatnonzero(codes >= 0)
        features[known, place + codes[known]] = 1
        place += len(column.categories)
    return features


def typed(batch: Any, columns: Sequence[Column]) -> Any:
    """Return a pyarrow batch or table of the columns alone: float64, int64, bool or string."""
    arrays = [_typed(batch.column(column.name), column) for column in columns]
    return type(batch).from_arrays(arrays, names=[column.name for column in columns])


def numbers(column: Any) -> Array:
    """Return a column of numbers or booleans as float64, NaN where a value is missing."""
    plain = column if str(column.type) == "double" else column.cast("float64", safe=False)
    values: Array = plain.to_numpy() if _is_chunked(plain) else plain.to_numpy(zero_copy_only=False)
    return values


def texts(column: Any) -> Array:
    """Return a column of text as an object array of str, ``""`` where a value is missing."""
    plain = column.cast("string").fill_null("")
    values: Array = plain.to_numpy(zero_copy_only=False)
    return values


def raw_columns(content: Any, recipe: TableRecipe) -> dict[str, Array]:
    """Return the columns of a typed table by name: numbers and flags float64, NaN for a gap, texts "" for one."""
    return {
        column.name: (texts if column.kind == "text" else numbers)(content.column(column.name))
        for column in recipe.columns
    }


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


def is_text(arrow_type: Any) -> bool:
    """Return whether a column of this type holds texts, and not categories."""
    from pyarrow import types

    text = types.is_string(arrow_type) or types.is_large_string(arrow_type)
    return bool(text or types.is_string_view(arrow_type))


def _typed(array: Any, column: Column) -> Any:
    from pyarrow import types

    if types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if column.kind == "text":
        return array.cast("string")
    if not is_text(array.type):
        kinds = {"number": "float64", "whole": "int64", "flag": "bool"}
        return array.cast(kinds[column.kind], safe=False)
    if column.kind == "number":
        return to_numbers(_strings(array), column.decimal)
    return (to_flags if column.kind == "flag" else to_whole)(_strings(array))


def _strings(array: Any) -> Any:
    return array if str(array.type) == "string" else array.cast("string")


def _is_chunked(array: Any) -> bool:
    return hasattr(array, "chunks")


def _filled(values: Array, column: ColumnRecipe) -> Array:
    return np.where(np.isnan(values), float(column.fill or 0), values)


def _positions(values: Any, column: ColumnRecipe) -> Array:
    """Return the position of each text among the categories, -1 for any other."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.array(column.categories, pa.string())
    found = pc.index_in(values.cast("string"), value_set=known)
    if isinstance(column.fill, str):
        filled = column.categories.index(column.fill)
        gaps = pc.fill_null(pc.equal(values.cast("string"), ""), True)
        found = pc.if_else(gaps, pa.scalar(filled, pa.int32()), found)
    positions: Array = found.fill_null(-1).to_numpy(zero_copy_only=False)
    return positions
