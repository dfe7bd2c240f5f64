"""A CSV or Parquet file as a dataset: in memory when it fits, as a stream when it does not.

Both ways share every step, so that the same rows land in the same splits with the same classes,
encoding and fingerprint; the scaling agrees to the rounding of its sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import psutil

from orchestrator.data.assemble import assigned, check_task, cut, rows_of_last
from orchestrator.data.batches import rebatch
from orchestrator.data.dataset import PARTS, Batch, Dataset, Split, StreamedDataset, StreamedSplit
from orchestrator.data.labels import Labels, View, given_labels
from orchestrator.data.notice import notice
from orchestrator.data.refusal import refused
from orchestrator.data.scaling import Scaler, fit_scaler
from orchestrator.data.splits import missing_shares
from orchestrator.data.table_columns import encode, raw_columns, raw_labels
from orchestrator.data.table_file import TableFile, bytes_in_memory, open_table, read_table
from orchestrator.data.table_fit import Batches, TableFit
from orchestrator.data.table_recipe import TableRecipe
from orchestrator.data.table_rows import Rows, read_rows
from orchestrator.data.table_targets import Weights, scan_targets, weights_of
from orchestrator.data.trees import Array, between, joined, row_count
from orchestrator.data.weights import weighted_by_class

__all__ = ["Rows", "fit_table", "in_memory", "load_table", "must_stream", "read_rows"]

if TYPE_CHECKING:
    from orchestrator.catalog import DataReference
    from orchestrator.config.data_options import DataOptions

SHARE_OF_MEMORY = 0.25


Assignment = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Targets:
    """The label as a number, the weight and the split of every row of a table."""

    labels: Labels
    numbers: Array
    weights: Weights | None
    assignment: Assignment

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


def load_table(
    reference: DataReference, options: DataOptions, seed: int, task: str = "auto"
) -> Dataset | StreamedDataset:
    """Return a table's dataset, streamed where ``options.stream`` or the free memory says so."""
    where = f"data {reference.text}"
    form = cast(Literal["csv", "parquet"], reference.kind)
    if must_stream(reference, options):
        table = open_table(reference.place, form, options, where)
        targets = _targets(table, lambda: table.batches(only=table.targets), options, (seed, task))
        fitted = fit_table(table, table.batches, targets, options)
        return _streamed(table, targets, fitted, (reference, options, seed))
    table, content = read_table(reference.place, form, options, where)
    targets = _targets(table, lambda: [(0, content)], options, (seed, task))
    fitted = fit_table(table, lambda: [(0, content)], targets, options)
    return in_memory(content, targets, fitted, (reference.text, options))


def must_stream(reference: DataReference, options: DataOptions) -> bool:
    """Tell whether a table is streamed: as told, or when it takes a quarter of the free memory."""
    if options.stream != "auto":
        return bool(options.stream)
    form = cast(Literal["csv", "parquet"], reference.kind)
    size = bytes_in_memory(reference.place, form, f"data {reference.text}")
    free: int = psutil.virtual_memory().available
    return size > SHARE_OF_MEMORY * free


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
    for note in recipe.notes:
        notice(f"{table.where}: {note}")
    if not recipe.features:
        raise refused(table.where, "a feature was expected", "columns without a value")
    scaler = fit_scaler(options.scale, fit.moments(recipe))
    return Fitted(recipe, scaler, fit.digest(targets.labels))


def in_memory(
    content: Any, targets: Targets, fitted: Fitted, opened: tuple[str, DataOptions]
) -> Dataset:
    """Return the dataset of a typed table in memory, cut into its splits; ``opened``: its source and options."""
    source, options = opened
    whole = Split(encode(fitted.recipe, content), targets.numbers, None, targets.weights)
    is_class = targets.labels.form == "classes"
    dataset = Dataset(
        **cut(whole, targets.assignment, fitted.scaler),
        classes=targets.labels.classes,
        scaling=fitted.scaler.document,
        fingerprint=fitted.fingerprint,
        source=source,
        columns=fitted.recipe.features,
        labels=targets.labels,
        view="given",
        table=fitted.recipe,
        raw=raw_columns(content.take(rows_of_last(targets.assignment)), fitted.recipe),
    )
    dataset = dataset.viewed("codes") if is_class else dataset
    return weighted_by_class(dataset, options.class_weight, f"data {source}")


def _targets(
    table: TableFile,
    batches: Callable[[], Batches],
    options: DataOptions,
    asked: tuple[int, str],
) -> Targets:
    """Return the labels and weights of all rows, and which split each row is for; ``asked``: seed and task."""
    seed, task = asked
    labels, numbers, weights = scan_targets(table, batches(), task)
    shares = missing_shares((), options)
    labels, assignment = assigned(labels, {"train": numbers}, shares, (seed, table.where))
    check_task(labels, task)
    return Targets(labels.fitted(numbers[assignment == 0]), numbers, weights, assignment)


def _streamed(
    table: TableFile,
    targets: Targets,
    fitted: Fitted,
    opened: tuple[DataReference, DataOptions, int],
) -> StreamedDataset:
    reference, options, seed = opened
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
        source=reference.text,
        input_shape=(len(fitted.recipe.features),),
        reference=reference,
        options=options,
        seed=seed,
        columns=fitted.recipe.features,
        labels=targets.labels,
        view=view,
        table=fitted.recipe,
    )
