"""What a user's function returns beside arrays: a frame, handled as a table."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.data.along import Along, along_name, read_along
from orchestrator.data.assemble import assigned
from orchestrator.data.dataset import PARTS, DataRequest, Dataset
from orchestrator.data.given import is_arrow, is_frame
from orchestrator.data.labels import describe, given_labels, of_task
from orchestrator.data.messages import refused, several
from orchestrator.data.table_columns import numbers
from orchestrator.data.table_file import TableFile, choose_columns, typed_table
from orchestrator.data.tables import Targets, check_table_weights, fit_table, in_memory
from orchestrator.errors import near_miss

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions

_SIMPLE = (str, bool, int, float, np.bool_, np.number)


def load_frames(pieces: Mapping[str, tuple[Any, Any]], request: DataRequest) -> Dataset:
    """Return the dataset of frames by split: ``(features, labels)``, or ``(frame, None)``.

    Columns are handled as those of a Parquet file; the index is left out. With no labels beside a
    frame they are its column ``data.label``.
    """
    options, where = request.options, request.where
    tables = {part: as_arrow(pieces[part][0], where) for part in pieces}
    given, tables = _labels(pieces, tables, options, where)
    content = _joined(tables, where)
    chosen = options.model_copy(update={"label": None})
    _, columns, weight = choose_columns(list(content.column_names), chosen, where)
    of = along_name(options, where)
    along = None if of is None else read_along(of, content.column(of.name))
    table = TableFile("", "parquet", where, None, columns, weight)
    wanted = [column.name for column in table.every]
    table, content = typed_table(table, content.select(wanted), options)
    targets = _targets(given, along, request)
    if table.weight is not None:
        weights = numbers(content.column(table.weight.name)).astype(np.float32)
        targets = targets.weighted(check_table_weights(weights, table))
    fitted = fit_table(table, lambda: [(0, content)], targets, options)
    return in_memory(content, targets, fitted, request)


def _labels(
    pieces: Mapping[str, tuple[Any, Any]],
    tables: Mapping[str, Any],
    options: DataOptions,
    where: str,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the labels by split, and the tables without them."""
    given: dict[str, Any] = {}
    left: dict[str, Any] = {}
    for part, table in tables.items():
        names = list(table.column_names)
        labels, place = pieces[part][1], f"{where} ({part})"
        if labels is not None:
            if options.label is not None:
                expected = "data.label was expected only where the frame holds the labels"
                raise refused(place, expected, f"label {options.label!r} and labels beside it")
            given[part], left[part] = _plain(labels), table
        elif options.label is None:
            hint = f"Columns: {several(names, 20)}."
            raise refused(place, "the label column's name in data.label was expected", "none", hint)
        elif options.label not in names:
            hint = f"{near_miss(options.label, names)} Columns: {several(names, 20)}."
            expected = "a column of the frame was expected in data.label"
            raise refused(place, expected, repr(options.label), hint)
        else:
            given[part] = table.column(options.label).to_numpy()
            left[part] = table.drop_columns([options.label])
        if len(given[part]) != table.num_rows:
            received = f"{table.num_rows} rows and {len(given[part])} labels"
            raise refused(place, "as many labels as rows were expected", received)
    return given, left


def _plain(labels: Any) -> Any:
    """Return labels of pandas, polars or pyarrow as an array, any others as they are."""
    if is_frame(labels) and not hasattr(labels, "to_numpy"):
        labels = labels.to_pandas()
    return labels.to_numpy() if hasattr(labels, "to_numpy") else labels


def _targets(given: Mapping[str, Any], along: Along | None, request: DataRequest) -> Targets:
    """Return each row's label and split: rows that were given as train are cut for what is not."""
    where = request.where
    y = {part: given_labels(one, f"{where} ({part})") for part, one in given.items()}
    labels = of_task(describe(list(y.values()), where), y, request.task, where)
    divided = assigned(labels, y, along, request)
    labels = divided.labels
    assignment = [
        divided.assignment
        if part == "train"
        else np.full(len(y[part]), PARTS.index(part), dtype=np.uint8)
        for part in given
    ]
    numbers = np.concatenate([labels.numbers(one) for one in y.values()])
    whole = replace(divided, assignment=np.concatenate(assignment))
    return Targets(labels.fitted(numbers[whole.assignment == 0]), numbers, None, whole)


def _joined(tables: Mapping[str, Any], where: str) -> Any:
    """Return the splits' rows one after another; DataError where their columns differ."""
    import pyarrow as pa

    names = tables["train"].column_names
    for part, table in tables.items():
        if set(table.column_names) != set(names):
            other = set(names) ^ set(table.column_names)
            expected = "the same columns in all splits were expected"
            raise refused(where, expected, f"{several(sorted(other))} not in both train and {part}")
    try:
        same = [table.select(names) for table in tables.values()]
        return pa.concat_tables(same, promote_options="permissive")
    except pa.ArrowException as error:
        received = str(error).splitlines()[0].rstrip(".")
        raise refused(where, "columns of one type in all splits were expected", received) from error


def as_arrow(frame: Any, where: str) -> Any:
    """Return a frame as a pyarrow Table, its index left out."""
    import pyarrow as pa

    if is_arrow(frame):
        return frame
    if hasattr(frame, "to_arrow"):
        return frame.to_arrow()
    names = [str(name) for name in frame.columns]
    twice = (
        sorted({name for name in names if names.count(name) > 1})
        if len(set(names)) < len(names)
        else []
    )
    if twice:
        raise refused(where, "columns of different names were expected", f"{several(twice)} twice")
    arrays = [_column(frame.iloc[:, at], name, where) for at, name in enumerate(names)]
    return pa.Table.from_arrays(arrays, names=names)


def _column(series: Any, name: str, where: str) -> Any:
    import pyarrow as pa

    try:
        if series.dtype != object:
            plain = series.sparse.to_dense() if hasattr(series, "sparse") else series
            return pa.Array.from_pandas(plain)
        items = [None if _is_gap(item) else item for item in series.tolist()]
        kinds = {type(item) for item in items if item is not None}
        if kinds <= {bool, np.bool_}:
            return pa.array(items, pa.bool_())
        if all(issubclass(kind, int | float | np.number) for kind in kinds):
            return pa.array(items, pa.float64())
        if all(issubclass(kind, datetime.date) for kind in kinds):
            return pa.array(items)
        if all(issubclass(kind, _SIMPLE) for kind in kinds):
            return pa.array([None if item is None else str(item) for item in items], pa.string())
        received = f"{several(sorted(kind.__name__ for kind in kinds))} objects"
    except (pa.ArrowException, TypeError, ValueError, NotImplementedError):
        received = f"values of type {series.dtype}"
    hint = f"Leave it out with data.drop: [{name}], or turn it into numbers or text."
    place = f"{where}, column {name!r}"
    raise refused(place, "numbers, text or true/false were expected", received, hint)


def _is_gap(item: Any) -> bool:
    """Return whether a value is None, NaN, pandas.NA or NaT."""
    return (
        item is None or str(item) in ("<NA>", "NaT") or (isinstance(item, float) and item != item)
    )
