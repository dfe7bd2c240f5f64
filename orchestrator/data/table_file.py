"""A CSV or Parquet file: its columns and their kinds, read whole or batch after batch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from orchestrator.data.refusal import refused, several
from orchestrator.errors import near_miss

Kind = Literal["number", "whole", "flag", "text"]

BLOCK_BYTES = 2**20
BATCH_ROWS = 8_192

_SAVED_INDEX = re.compile(r"|__index_level_\d+__")


@dataclass(frozen=True)
class Column:
    """A column and what it holds: numbers, whole numbers, true/false, or text."""

    name: str
    kind: Kind


@dataclass(frozen=True)
class TableFile:
    """A table on disk, its label column and its feature columns; plain values, so picklable.

    A pandas index that was saved with the table (a column without a name, or
    ``__index_level_0__``) is no feature and is left out.
    """

    path: str
    format: Literal["csv", "parquet"]
    where: str
    label: Column
    columns: tuple[Column, ...]

    def batches(self, order_seed: int | None = None) -> Iterator[tuple[int, Any]]:
        """Yield ``(number of the first row, pyarrow RecordBatch)``, holding a few at a time.

        With a seed, a Parquet file's row groups come in shuffled order; a CSV file has one order.
        """
        with reading(self.path, self.where):
            if self.format == "csv":
                yield from _csv_batches(self)
            else:
                yield from _parquet_batches(self, order_seed)


def open_table(
    path: str, form: Literal["csv", "parquet"], label: str | None, where: str
) -> TableFile:
    """Return the table for streaming; a CSV file's types are those of its first block.

    DataError for a missing label column, and for columns that hold no numbers, text or booleans.
    """
    with reading(path, where):
        if form == "parquet":
            import pyarrow.parquet as pq

            schema = pq.read_schema(path)
        else:
            import pyarrow.csv as arrow_csv

            with arrow_csv.open_csv(path, **_csv_options(path)) as reader:
                schema = reader.schema
    return _described(schema, (path, form), label, where)


def read_table(
    path: str, form: Literal["csv", "parquet"], label: str | None, where: str
) -> tuple[TableFile, Any]:
    """Return the table and its whole content, a pyarrow Table of the columns it describes."""
    with reading(path, where):
        if form == "parquet":
            import pyarrow.parquet as pq

            with pq.ParquetFile(path) as file:
                content = file.read()
        else:
            import pyarrow.csv as arrow_csv

            content = arrow_csv.read_csv(path, **_csv_options(path))
    return _described(content.schema, (path, form), label, where), content


def bytes_in_memory(path: str, form: Literal["csv", "parquet"], where: str) -> int:
    """Return about how many bytes the table's content has, uncompressed."""
    size = Path(path).stat().st_size
    if form == "csv":
        return size
    import pyarrow.parquet as pq

    with reading(path, where):
        metadata = pq.read_metadata(path)
    groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
    return max(size, sum(int(group.total_byte_size) for group in groups))


@contextmanager
def reading(path: str, where: str) -> Iterator[None]:
    """Turn what pyarrow says of a broken file into one sentence."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise refused(where, f"a readable {Path(path).suffix} file was expected", said) from error


def _described(schema: Any, file: tuple[str, Any], label: str | None, where: str) -> TableFile:
    names = [name for name in schema.names if not _SAVED_INDEX.fullmatch(name)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise refused(where, "columns of different names were expected", f"{several(twice)} twice")
    if label is None:
        hint = f"Columns: {several(names, 20)}."
        raise refused(where, "the label column's name in data.label was expected", "none", hint)
    if label not in names:
        hint = f"{near_miss(label, names)} Columns: {several(names, 20)}."
        raise refused(where, "a column of the table was expected in data.label", repr(label), hint)
    kinds = {name: _kind(schema.field(name).type) for name in names}
    odd = [f"{name!r} ({schema.field(name).type})" for name in names if kinds[name] is None]
    if odd:
        expected = "columns of numbers, text or true/false were expected"
        raise refused(where, expected, several(odd))
    columns = tuple(Column(name, kinds[name] or "number") for name in names)
    features = tuple(column for column in columns if column.name != label)
    if not features:
        raise refused(where, "at least one column beside the label was expected", "none")
    chosen = next(column for column in columns if column.name == label)
    return TableFile(file[0], file[1], where, chosen, features)


def _kind(arrow_type: Any) -> Kind | None:
    from pyarrow import types

    if types.is_dictionary(arrow_type):
        return _kind(arrow_type.value_type)
    if types.is_boolean(arrow_type):
        return "flag"
    if types.is_integer(arrow_type):
        return "whole"
    if types.is_floating(arrow_type) or types.is_decimal(arrow_type) or types.is_null(arrow_type):
        return "number"
    text = types.is_string(arrow_type) or types.is_large_string(arrow_type)
    return "text" if text or types.is_string_view(arrow_type) else None


def _csv_options(path: str) -> dict[str, Any]:
    import pyarrow.csv as arrow_csv

    return {
        "read_options": arrow_csv.ReadOptions(block_size=BLOCK_BYTES),
        "parse_options": arrow_csv.ParseOptions(
            delimiter=_delimiter(path), newlines_in_values=True
        ),
    }


def _delimiter(path: str) -> str:
    """Return the comma, semicolon or tab that the first line has most of."""
    with Path(path).open("rb") as file:
        line = file.readline(2**16)
    return max(",;\t", key=lambda sign: line.count(sign.encode()))


def _csv_batches(table: TableFile) -> Iterator[tuple[int, Any]]:
    import pyarrow as pa
    import pyarrow.csv as arrow_csv

    kinds = {"number": pa.float64(), "whole": pa.float64(), "flag": pa.bool_(), "text": pa.string()}
    types = {column.name: kinds[column.kind] for column in table.columns}
    types[table.label.name] = pa.int64() if table.label.kind == "whole" else kinds[table.label.kind]
    convert = arrow_csv.ConvertOptions(column_types=types, include_columns=list(types))
    start = 0
    options = _csv_options(table.path)
    with arrow_csv.open_csv(table.path, convert_options=convert, **options) as reader:
        for batch in reader:
            yield start, batch
            start += batch.num_rows


def _parquet_batches(table: TableFile, order_seed: int | None) -> Iterator[tuple[int, Any]]:
    import pyarrow.parquet as pq

    names = [table.label.name, *(column.name for column in table.columns)]
    with pq.ParquetFile(table.path) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)]).tolist()
        order = np.arange(len(sizes))
        if order_seed is not None:
            order = np.random.default_rng([order_seed, 2]).permutation(order)
        for group in order.tolist():
            start = starts[group]
            for batch in file.iter_batches(BATCH_ROWS, row_groups=[group], columns=names):
                yield start, batch
                start += batch.num_rows
