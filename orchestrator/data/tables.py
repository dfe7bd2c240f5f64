"""A CSV or Parquet file as a dataset: in memory when it fits, as a stream when it does not.

Both ways share every step, so that the same rows land in the same splits with the same classes,
encoding and fingerprint; the scaling agrees to the rounding of its sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from orchestrator.data.along import Along
from orchestrator.data.assemble import Divided, assigned, cut, rows_of_last
from orchestrator.data.dataset import (
    PARTS,
    Batch,
    DataRequest,
    Dataset,
    Split,
    StreamedDataset,
    StreamedSplit,
)
from orchestrator.data.labels import Labels, PlainLabels, View, describe, given_labels, of_task
from orchestrator.data.messages import refused
from orchestrator.data.scaling import Scaler, fit_scaler
from orchestrator.data.splits import weighted_by_class
from orchestrator.data.table_columns import TableRecipe, encode, numbers, raw_columns, raw_labels
from orchestrator.data.table_file import (
    TableFile,
    bytes_in_memory,
    open_table,
    read_groups_or_times,
    read_table,
)
from orchestrator.data.table_fit import Batches, TableFit
from orchestrator.data.table_kinds import Column
from orchestrator.data.trees import Array, between, bytes_for_data, joined, rebatch, row_count

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions

Assignment = npt.NDArray[np.uint8]
Weights: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Targets:
    """The label as a number, the weight and the split of every row of a table.

    ``divided`` is of all rows here, those of parts that the user gave included.
    """

    labels: Labels
    numbers: Array
    weights: Weights | None
    divided: Divided

    @property
    def assignment(self) -> Assignment:
        """The index into PARTS of each row's split."""
        return self.divided.assignment

    @property
    def content(self) -> Array:
        """What a fingerprint holds of the labels: class numbers, whatever their form, or quantities."""
        is_class = self.labels.form == "classes"
        content: Array = self.labels.view(self.numbers, "codes") if is_class else self.numbers
        return content

    def weighted(self, weights: Weights) -> Targets:
        """Return the same with a weight a row."""
        return replace(self, weights=weights)


@dataclass(frozen=True, eq=False)
class Fitted:
    """What was learnt of a table's training rows."""

    recipe: TableRecipe
    scaler: Scaler
    fingerprint: str


@dataclass(frozen=True, eq=False)
class TableBatches:
    """The batches of one split of a table; picklable: the file is opened where they are read."""

    table: TableFile
    recipe: TableRecipe
    scaler: Scaler
    labels: Labels
    assignment: Assignment
    part: int
    view: View = "codes"

    def __call__(
        self, batch_size: int, shuffle_seed: int | None, epoch: int | None = None
    ) -> Iterator[Batch]:
        """Yield the split's batches once; see StreamedSplit."""
        return rebatch(self._chunks(shuffle_seed), batch_size, shuffle_seed)

    def raw(self, rows: int) -> dict[str, Array]:
        """Return the columns of the split's first rows as they lie in the file."""
        found: list[dict[str, Array]] = []
        for part in self._rows(None):
            found.append(raw_columns(part, self.recipe))
            if sum(row_count(columns) for columns in found) >= rows:
                break
        first: dict[str, Array] = between(joined(found), 0, rows)
        return first

    def _rows(self, shuffle_seed: int | None) -> Iterator[Any]:
        for start, batch in self.table.batches(shuffle_seed):
            chosen = self.assignment[start : start + batch.num_rows] == self.part
            yield batch.take(np.flatnonzero(chosen)) if not chosen.all() else batch

    def _chunks(self, shuffle_seed: int | None) -> Iterator[Any]:
        label, weight = self.table.label, self.table.weight
        if label is None:
            return
        for rows in self._rows(shuffle_seed):
            raw, _ = raw_labels(rows.column(label.name), label.kind)
            y = self.labels.view(
                self.labels.numbers(given_labels(raw, self.table.where)), self.view
            )
            x = self.scaler.scale(encode(self.recipe, rows))
            yield (x, y) if weight is None else (x, y, weights_of(rows, weight))


@dataclass(frozen=True, eq=False)
class TableReader:
    """A table that was opened, with the groups or times of its rows; ``content`` is None where it is streamed."""

    table: TableFile
    content: Any = field(repr=False)
    along: Along | None = field(repr=False)

    def __call__(self, request: DataRequest) -> Dataset | StreamedDataset:
        """Return the dataset of a request."""
        table, options = self.table, request.options
        if self.content is None:
            targets = self._targets(lambda: table.batches(only=table.targets), request)
            fitted = fit_table(table, table.batches, targets, options)
            return _streamed(table, targets, fitted, request)
        targets = self._targets(self._whole, request)
        return in_memory(
            self.content, targets, fit_table(table, self._whole, targets, options), request
        )

    def _whole(self) -> Batches:
        return [(0, self.content)]

    def _targets(self, batches: Callable[[], Batches], request: DataRequest) -> Targets:
        """Return the labels and weights of all rows, and which split each row is for."""
        labels, numbers, weights = scan_targets(self.table, batches(), request.task)
        divided = assigned(labels, {"train": numbers}, self.along, request)
        fitted = divided.labels.fitted(numbers[divided.assignment == 0])
        return Targets(fitted, numbers, weights, divided)


def table_reader(request: DataRequest) -> TableReader:
    """Return what reads a table, streamed where ``options.stream`` or the free memory says so."""
    reference, options, where = request.reference, request.options, request.where
    form = cast(Literal["csv", "parquet"], reference.kind)
    content: Any = None
    if must_stream(request):
        table = open_table(reference.place, form, options, where)
    else:
        table, content = read_table(reference.place, form, options, where)
    return TableReader(table, content, read_groups_or_times(table))


def must_stream(request: DataRequest) -> bool:
    """Return whether a table is streamed: as the options say, or because it takes a quarter of the free memory."""
    reference = request.reference
    if request.options.stream != "auto":
        return bool(request.options.stream)
    form = cast(Literal["csv", "parquet"], reference.kind)
    size = bytes_in_memory(reference.place, form, request.where)
    return size > bytes_for_data()


def fit_table(
    table: TableFile, batches: Callable[[], Batches], targets: Targets, options: DataOptions
) -> Fitted:
    """Return what is learnt of the training rows, in one pass, or two where gaps need all values."""
    fit = TableFit(table, options.missing)
    training, labels = targets.assignment == 0, targets.content
    for start, batch in batches():
        rows = slice(start, start + batch.num_rows)
        fit.add(batch, labels[rows], training[rows])
    if fit.check():
        for start, batch in batches():
            fit.collect(batch, training[start : start + batch.num_rows])
    recipe = fit.recipe()
    if targets.divided.numbers is not None:
        fit.add_division(targets.divided.numbers)
    if not recipe.features:
        raise refused(table.where, "a feature was expected", "columns without a value")
    scaler = fit_scaler(options.scale, fit.moments(recipe))
    return Fitted(recipe, scaler, fit.digest(targets.labels))


def in_memory(content: Any, targets: Targets, fitted: Fitted, request: DataRequest) -> Dataset:
    """Return the dataset of a typed table in memory, cut into its splits."""
    whole = Split(encode(fitted.recipe, content), targets.numbers, None, targets.weights)
    is_class = targets.labels.form == "classes"
    dataset = Dataset(
        **cut(whole, targets.assignment, fitted.scaler),
        classes=targets.labels.classes,
        scaling=fitted.scaler.document,
        fingerprint=fitted.fingerprint,
        source=request.source,
        columns=fitted.recipe.features,
        labels=targets.labels,
        view="given",
        table=fitted.recipe,
        raw=raw_columns(content.take(rows_of_last(targets.assignment)), fitted.recipe),
        division=targets.divided.facts,
    )
    dataset = dataset.viewed("codes") if is_class else dataset
    return weighted_by_class(dataset, request.options.class_weight, request.where)


def _streamed(
    table: TableFile, targets: Targets, fitted: Fitted, request: DataRequest
) -> StreamedDataset:
    splits: dict[str, Any] = {}
    view: View = "codes" if targets.labels.form == "classes" else "given"
    for number, part in enumerate(PARTS):
        reader = TableBatches(
            table, fitted.recipe, fitted.scaler, targets.labels, targets.assignment, number, view
        )
        rows = int(np.count_nonzero(targets.assignment == number))
        splits[part] = StreamedSplit(rows, reader)
    return StreamedDataset(
        **splits,
        classes=targets.labels.classes,
        scaling=fitted.scaler.document,
        fingerprint=fitted.fingerprint,
        source=request.source,
        input_shape=(len(fitted.recipe.features),),
        reference=request.reference,
        options=request.options,
        seed=request.seed,
        columns=fitted.recipe.features,
        labels=targets.labels,
        view=view,
        table=fitted.recipe,
        division=targets.divided.facts,
    )


def scan_targets(
    table: TableFile, batches: Batches, task: str
) -> tuple[Labels, Array, Weights | None]:
    """Return what the labels are, every row's as a number, and its weight, if any.

    This is the first pass over a table; it keeps four or eight bytes a row, and four for a weight.
    """
    label = table.label
    if label is None:
        raise refused(table.where, "a label column was expected", "none")
    where = f"{table.where}, column {label.name!r}"
    known: dict[Any, int] = {}
    read: list[Array] = []
    weights: list[Weights] = []
    missing = 0
    for _, batch in batches:
        raw, absent = raw_labels(batch.column(label.name), label.kind)
        missing += absent
        read.append(raw if raw.dtype.kind not in "bU" else _numbered(raw, known))
        if table.weight is not None:
            weights.append(check_table_weights(weights_of(batch, table.weight), table))
    if missing:
        raise refused(where, "a label in every row was expected", f"{missing} that are missing")
    whole = np.concatenate(read) if read else np.zeros(0)
    if not len(whole):
        raise refused(where, "rows were expected", "none")
    labels, numbers = _described(whole, np.array(list(known)), task, where)
    return labels, numbers, np.concatenate(weights) if weights else None


def _numbered(raw: Array, known: dict[Any, int]) -> Array:
    """Return texts or booleans as numbers, in the order in which they were first seen."""
    values, positions = np.unique(raw, return_inverse=True)
    numbered = [known.setdefault(value, len(known)) for value in values.tolist()]
    return np.array(numbered, dtype=np.int32)[positions]


def _described(whole: Array, names: Array, task: str, where: str) -> tuple[Labels, Array]:
    """Return the labels and each row's number; ``names`` are the texts that numbers stand for, if any do."""
    if not len(names):
        given = given_labels(whole, where)
        labels = of_task(describe([given], where), {"train": given}, task, where)
        return labels, labels.numbers(given)
    labels = of_task(describe([names], where), {"train": names}, task, where)
    return labels, labels.codes(PlainLabels(names))[whole]


def weights_of(batch: Any, weight: Column) -> Weights:
    """Return the weights of a batch's rows."""
    return numbers(batch.column(weight.name)).astype(np.float32)


def check_table_weights(weights: Weights, table: TableFile) -> Weights:
    """Return the weights once they are numbers of at least 0, and some above."""
    bad = int((~(np.isfinite(weights) & (weights >= 0))).sum())
    if bad and table.weight is not None:
        where = f"{table.where}, column {table.weight.name!r}"
        expected = "a weight of at least 0 in every row was expected"
        raise refused(where, expected, f"{bad} that are missing, negative or infinite")
    return weights
