"""A CSV or Parquet file: its columns and their kinds, read whole or batch after batch."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from orchestrator.data.along import Along, AlongName, along_name, column_of, read_along
from orchestrator.data.csv_form import CsvForm, read_form
from orchestrator.data.messages import refused, several
from orchestrator.data.table_columns import is_text, typed
from orchestrator.data.table_kinds import Column, Kind, judge
from orchestrator.data.table_texts import Tally
from orchestrator.errors import near_miss

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions

Format = Literal["csv", "parquet"]

BLOCK_BYTES = 2**20
READ_BYTES = 2**24
BATCH_ROWS = 8_192

_SAVED_INDEX = re.compile(r"|__index_level_\d+__")


@dataclass(frozen=True)
class TableFile:
    """A table, its label column and its feature columns; plain values, so picklable.

    A pandas index that was saved with the table (a column without a name, or
    ``__index_level_0__``) is no feature and is left out. ``path`` is empty for a table in memory. ``along`` names the
    column of groups or times by which rows are split, which is no feature either.
    """

    path: str
    format: Format
    where: str
    label: Column | None
    columns: tuple[Column, ...]
    weight: Column | None = None
    form: CsvForm | None = None
    along: AlongName | None = None

    @property
    def every(self) -> tuple[Column, ...]:
        """The features, the label and the weight."""
        return (*self.columns, *self.targets)

    @property
    def targets(self) -> tuple[Column, ...]:
        """The label and the weight alone."""
        return tuple(column for column in (self.label, self.weight) if column is not None)

    def batches(
        self, order_seed: int | None = None, only: Sequence[Column] | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Yield ``(number of the first row, pyarrow RecordBatch)``, holding a few at a time.

        With a seed, a Parquet file's row groups come in shuffled order; a CSV file has one order.
        """
        columns = self.every if only is None else only
        names = [column.name for column in columns]
        with reading(self.path, self.where):
            for start, batch in _raw_batches(self, names, order_seed):
                yield start, typed(batch, columns)


def open_table(path: str, form: Format, options: DataOptions, where: str) -> TableFile:
    """Return the table for streaming, after one pass over the columns that hold texts.

    DataError for a missing label column, and for columns that hold no numbers, text or booleans.
    """
    table, schema = _begun(path, form, options, where)
    texts = [field.name for field in _chosen(schema, table) if is_text(field.type)]
    with reading(path, where):
        batches = _raw_batches(table, texts, None) if texts else ()
        tallies = count_texts(texts, (batch for _, batch in batches), _targets(table))
    return described(table, schema, tallies, options)


def read_table(path: str, form: Format, options: DataOptions, where: str) -> tuple[TableFile, Any]:
    """Return the table and its whole content, a pyarrow Table of the columns it describes."""
    table, _ = _begun(path, form, options, where)
    names = [column.name for column in table.every]
    with reading(path, where):
        if table.form is None:
            import pyarrow.parquet as pq

            with pq.ParquetFile(path) as file:
                content = file.read(columns=names)
        else:
            import pyarrow.csv as arrow_csv

            given = table.form.options(names, READ_BYTES)
            content = arrow_csv.read_csv(path, **given).combine_chunks()
    return typed_table(table, content, options)


def typed_table(table: TableFile, content: Any, options: DataOptions) -> tuple[TableFile, Any]:
    """Return the table with its columns' kinds, and its content as numbers, flags and text."""
    texts = [field.name for field in content.schema if is_text(field.type)]
    chunks = content.select(texts).to_batches() if texts else ()
    tallies = count_texts(texts, chunks, _targets(table))
    found = described(table, content.schema, tallies, options)
    return found, typed(content, found.every)


def read_groups_or_times(table: TableFile) -> Along | None:
    """Return the column along which rows are split, None where there is none; a pass over that column alone."""
    if table.along is None:
        return None
    with reading(table.path, table.where):
        batches = _raw_batches(table, [table.along.name], None)
        whole = column_of(batches)
    return read_along(table.along, whole)


def bytes_in_memory(path: str, form: Format, where: str) -> int:
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


def choose_columns(
    names: list[str], options: DataOptions, where: str, hint: str = ""
) -> tuple[Column | None, tuple[Column, ...], Column | None]:
    """Return the label, the features and the weight, their kinds not known yet."""
    kept = [name for name in names if not _SAVED_INDEX.fullmatch(name)]
    twice = sorted(name for name, count in Counter(kept).items() if count > 1)
    if twice:
        expected = "columns of different names were expected"
        raise refused(where, expected, f"{several(twice)} twice", hint)
    known = set(kept)
    asked = {"data.label": options.label, "data.sample_weight": options.sample_weight}
    for key, name in (
        *asked.items(),
        *(("data.drop", name) for name in options.drop),
        *(("data.columns", name) for name in options.columns),
    ):
        if name is not None and name not in known:
            more = f"{near_miss(name, kept)} Columns: {several(kept, 20)}. {hint}"
            raise refused(where, f"a column of the table was expected in {key}", repr(name), more)
    taken = {name for name in asked.values() if name is not None}
    along = along_name(options, where)
    if along is not None:
        if along.name not in known:
            along.absent(kept, hint=hint)
        if along.name in taken:
            expected = f"a column beside label and weight was expected in data.{along.key}"
            raise refused(where, expected, repr(along.name))
        taken.add(along.name)
    for name in sorted(taken & set(options.drop)):
        raise refused(where, "a feature was expected in data.drop", f"{name!r}, which is in use")
    left = tuple(Column(name, "number") for name in kept if name not in taken | set(options.drop))
    if not left:
        raise refused(where, "at least one column beside the label was expected", "none")
    label, weight = (Column(name, "number") if name else None for name in asked.values())
    return label, left, weight


def described(
    table: TableFile, schema: Any, tallies: Mapping[str, Tally], options: DataOptions
) -> TableFile:
    """Return the table with what each column holds, by its type or by its texts."""
    targets = _targets(table)
    found = judge(table.where, options, table.form is None).columns(tallies, targets)
    fields = {field.name: field for field in _chosen(schema, table)}
    odd: list[str] = []
    for name, field in fields.items():
        kind = found[name].kind if name in found else kind_of(field.type)
        if kind is None:
            odd.append(f"{name!r} ({field.type})")
        elif name not in found:
            asked = "text" if options.columns.get(name) == "text" else kind
            found[name] = Column(name, asked)
    if odd:
        expected = "columns of numbers, text or true/false were expected"
        drop = ", ".join(word.split("'")[1] for word in odd[:5])
        hint = f"Turn dates into numbers in a loader, or leave them out with data.drop: [{drop}]."
        raise refused(table.where, expected, several(odd), hint)
    return TableFile(
        table.path,
        table.format,
        table.where,
        found[table.label.name] if table.label else None,
        tuple(found[column.name] for column in table.columns),
        found[table.weight.name] if table.weight else None,
        table.form,
        table.along,
    )


def count_texts(names: list[str], batches: Iterable[Any], targets: set[str]) -> dict[str, Tally]:
    """Return what the columns' texts look like, after one pass over them."""
    tallies = {name: Tally(exact=name in targets) for name in names}
    for batch in batches:
        for name in names:
            tallies[name].add(batch.column(name))
    return tallies


def _begun(path: str, form: Format, options: DataOptions, where: str) -> tuple[TableFile, Any]:
    """Return the table with its columns chosen by name, and its schema."""
    import pyarrow as pa

    csv_form, hint = None, ""
    with reading(path, where):
        if form == "parquet":
            import pyarrow.parquet as pq

            schema = pq.read_schema(path)
        else:
            csv_form = read_form(path, options.header, where)
            schema = pa.schema([(name, pa.string()) for name in csv_form.names])
            hint = _HEADERLESS if csv_form.starts_with_data else ""
    names = list(schema.names)
    if options.label is None:
        more = (
            f"Columns: {several([n for n in names if not _SAVED_INDEX.fullmatch(n)], 20)}. {hint}"
        )
        raise refused(where, "the label column's name in data.label was expected", "none", more)
    label, columns, weight = choose_columns(names, options, where, hint)
    along = along_name(options, where)
    return TableFile(path, form, where, label, columns, weight, csv_form, along), schema


_HEADERLESS = (
    "The first line looks like data: write data.header: false, and data.label: column_1"
    " (or another number) for the label."
)


def _targets(table: TableFile) -> set[str]:
    return {column.name for column in table.targets}


def _chosen(schema: Any, table: TableFile) -> list[Any]:
    names = {column.name for column in table.every}
    return [field for field in schema if field.name in names]


def kind_of(arrow_type: Any) -> Kind | None:
    """Return what a column of a type of its own holds; None where it is nothing to train on, or text."""
    from pyarrow import types

    if types.is_dictionary(arrow_type):
        inner = arrow_type.value_type
        return "text" if is_text(inner) else kind_of(inner)
    if types.is_boolean(arrow_type):
        return "flag"
    if types.is_integer(arrow_type):
        return "whole"
    if types.is_floating(arrow_type) or types.is_decimal(arrow_type) or types.is_null(arrow_type):
        return "number"
    return None


def _raw_batches(
    table: TableFile, names: list[str], order_seed: int | None
) -> Iterator[tuple[int, Any]]:
    if table.form is None:
        return _parquet_batches(table.path, names, order_seed)
    return _csv_batches(table.path, table.form.options(names, BLOCK_BYTES))


def _csv_batches(path: str, options: Mapping[str, Any]) -> Iterator[tuple[int, Any]]:
    import pyarrow.csv as arrow_csv

    start = 0
    with arrow_csv.open_csv(path, **options) as reader:
        for batch in reader:
            yield start, batch
            start += batch.num_rows


def _parquet_batches(
    path: str, names: list[str], order_seed: int | None
) -> Iterator[tuple[int, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
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
