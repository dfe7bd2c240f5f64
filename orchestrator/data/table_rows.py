"""Further rows of a table, by the rules by which the first ones were read: for a prediction."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.data.csv_form import read_form
from orchestrator.data.messages import refused, several
from orchestrator.data.table_columns import (
    ColumnRecipe,
    TableRecipe,
    encode,
    is_text,
    numbers,
    raw_labels,
    texts,
    typed,
)
from orchestrator.data.table_file import READ_BYTES, count_texts, kind_of, reading
from orchestrator.data.table_kinds import Column, Judge
from orchestrator.data.table_texts import Tally
from orchestrator.data.trees import Array
from orchestrator.errors import near_miss


@dataclass(frozen=True, eq=False)
class Rows:
    """Raw rows: each feature column by its name, as it lies in the file, and the labels if any.

    A number or flag is float64, NaN for a gap; a text is str in an object array, ``""`` for a gap.
    ``labels`` are str, bool, int64 or float64; None where a row, or every row, has none.
    """

    columns: dict[str, Array]
    labels: Array | None

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(next(iter(self.columns.values())))


def read_rows(
    path: str | Path, recipe: TableRecipe, words_are_gaps: frozenset[str] = frozenset()
) -> Rows:
    """Return the rows of a CSV or Parquet file that has a recipe's columns, in any order.

    Further columns are left out. DataError for a column that is not there, for a value that is no
    number where numbers are due, and for a gap that the recipe has no value for. In the columns of
    numbers that ``words_are_gaps`` names, what is no number is a gap.
    """
    where = f"rows {Path(path).name}"
    return rows_of(_read(str(path), recipe, where), recipe, where, words_are_gaps)


def rows_of(
    content: Any, recipe: TableRecipe, where: str, words_are_gaps: frozenset[str] = frozenset()
) -> Rows:
    """Return the rows of a pyarrow Table, as ``read_rows`` does those of a file."""
    _check_names([column.name for column in recipe.columns], list(content.column_names), where)
    if not content.num_rows:
        raise refused(where, "rows were expected", "none")
    columns = {column.name: column for column in recipe.columns}
    wanted = [name for name in content.column_names if name in columns]
    _check_types(content, columns, where)
    written = [name for name in wanted if is_text(content.schema.field(name).type)]
    tallies = count_texts(written, content.select(written).to_batches(), set())
    kinds = [
        _as_learnt(columns[name], tallies.get(name), name in words_are_gaps, where)
        for name in wanted
    ]
    found = typed(content, kinds)
    values = {column.name: _values(found, column, where) for column in recipe.columns}
    return Rows(values, _labels(content, recipe.label, where))


def features_of(columns: Mapping[str, Array], recipe: TableRecipe) -> Array:
    """Return what raw columns become for a model that takes features: float32 (rows, features)."""
    import pyarrow as pa

    features: Array = encode(recipe, pa.table(dict(columns))).astype(np.float32)
    return features


def _check_types(content: Any, columns: Mapping[str, ColumnRecipe], where: str) -> None:
    """Refuse columns of a type of their own that is not what was learnt: dates, or fractions for texts."""
    for name, column in columns.items():
        kind = content.schema.field(name).type
        found = "text" if is_text(kind) else kind_of(kind)
        fits = found in ("text", "whole", "flag") if column.kind == "text" else found is not None
        if not fits and str(kind) != "null":
            due = {"text": "texts", "flag": "true/false", "number": "numbers"}[column.kind]
            place = f"{where}, column {name!r}"
            raise refused(place, f"{due} were expected", f"values of type {kind}")


def _read(path: str, recipe: TableRecipe, where: str) -> Any:
    """Return the columns of the recipe and the label, as a pyarrow Table."""
    ending = Path(path).suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise refused(where, "a .csv or .parquet file was expected", f"{Path(path).name}")
    names = [column.name for column in recipe.columns]
    with reading(path, where):
        if ending == ".parquet":
            import pyarrow.parquet as pq

            there = list(pq.read_schema(path).names)
            _check_names(names, there, where)
            return pq.read_table(path, columns=_chosen(recipe, there))
        import pyarrow.csv as arrow_csv

        numbered = all(re.fullmatch(r"column_\d+", name) for name in names)
        form = read_form(path, "auto", where)
        if numbered and not set(names) <= set(form.names):
            form = read_form(path, False, where)
        _check_names(names, list(form.names), where)
        options = form.options(_chosen(recipe, form.names), READ_BYTES)
        return arrow_csv.read_csv(path, **options).combine_chunks()


def _chosen(recipe: TableRecipe, there: Any) -> list[str]:
    names = [column.name for column in recipe.columns]
    return names if recipe.label is None or recipe.label not in there else [*names, recipe.label]


def _check_names(names: list[str], there: list[str], where: str) -> None:
    absent = [name for name in names if name not in set(there)]
    twice = [name for name, count in Counter(there).items() if count > 1 and name in set(names)]
    if twice:
        raise refused(where, "columns of different names were expected", f"{several(twice)} twice")
    if absent:
        hint = f"{near_miss(absent[0], there)} Columns: {several(there, 20)}."
        expected = f"the columns of training were expected, among them {several(absent)}"
        raise refused(where, expected, f"no {several(absent)}", hint)


def _as_learnt(
    column: ColumnRecipe, tally: Tally | None, words_are_gaps: bool, where: str
) -> Column:
    """Return the column's kind as it was learnt, and how the numbers of this file are written."""
    if tally is None or column.kind == "text":
        return Column(column.name, column.kind)
    own = tally.sure()
    decimal: Any = own.pop() if len(own) == 1 else column.decimal
    is_number = column.kind == "number"
    odd = tally.there - (tally.count(decimal) if is_number else tally.forms["flag"])
    if odd and (column.fill is None or not words_are_gaps):
        examples = several([repr(text) for text in tally.odd], 3)
        place, due = f"{where}, column {column.name!r}", "numbers" if is_number else "true/false"
        raise refused(place, f"{due} were expected", f"{examples or 'others'} in {odd} rows")
    return Column(column.name, column.kind, decimal)


def _values(content: Any, column: ColumnRecipe, where: str) -> Array:
    found = content.column(column.name)
    values = texts(found) if column.kind == "text" else numbers(found)
    gaps = values == "" if column.kind == "text" else np.isnan(values)
    if column.kind != "text" and np.isinf(values).any():
        place = f"{where}, column {column.name!r}"
        raise refused(place, "finite numbers were expected", "some that are infinite")
    if column.fill is None and gaps.any():
        place = f"{where}, column {column.name!r}"
        received = f"{int(gaps.sum())} that are missing"
        hint = "In training no gap of it was filled (data.missing)."
        raise refused(place, "a value in every row was expected", received, hint)
    return values


def _labels(content: Any, label: str | None, where: str) -> Array | None:
    if label is None or label not in content.column_names:
        return None
    array = content.column(label)
    column = Column(label, kind_of(array.type) or "text")
    if is_text(array.type):
        tallies = count_texts([label], content.select([label]).to_batches(), {label})
        column = Judge(where, {}, "auto").columns(tallies, {label})[label]
    raw, missing = raw_labels(typed(content.select([label]), [column]).column(0), column.kind)
    return None if missing else raw
