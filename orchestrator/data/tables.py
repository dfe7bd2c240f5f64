"""A CSV or Parquet file as a dataset: in memory when it fits, as a stream when it does not.

Both ways share every step, so that the same rows land in the same splits with the same classes,
encoding and fingerprint; the scaling agrees to the rounding of its sums.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import psutil

from orchestrator.data.assemble import assigned, cut
from orchestrator.data.batches import rebatch
from orchestrator.data.dataset import PARTS, Batch, Dataset, Split, StreamedDataset, StreamedSplit
from orchestrator.data.labels import Labels, View, given_labels
from orchestrator.data.scaling import Scaler, fit_scaler
from orchestrator.data.splits import missing_shares
from orchestrator.data.table_columns import Encoder, raw_labels
from orchestrator.data.table_file import TableFile, bytes_in_memory, open_table, read_table
from orchestrator.data.table_fit import Batches, TableFit, scan_labels
from orchestrator.data.trees import Array
from orchestrator.data.weights import weighted_by_class
from orchestrator.errors import DataError

if TYPE_CHECKING:
    from orchestrator.catalog import DataReference
    from orchestrator.config.options import DataOptions

SHARE_OF_MEMORY = 0.25


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A table after its two passes."""

    labels: Labels
    numbers: Array
    assignment: npt.NDArray[np.uint8]
    encoder: Encoder
    scaler: Scaler
    fingerprint: str


@dataclass(frozen=True, eq=False)
class TableBatches:
    """The batches of one split of a table; picklable: the file is opened where they are read."""

    table: TableFile
    encoder: Encoder
    scaler: Scaler
    labels: Labels
    assignment: npt.NDArray[np.uint8]
    part: int
    view: View = "codes"

    def __call__(self, batch_size: int, shuffle_seed: int | None) -> Iterator[Batch]:
        """Yield the split's batches once; see StreamedSplit."""
        return rebatch(self._chunks(shuffle_seed), batch_size, shuffle_seed)

    def _chunks(self, shuffle_seed: int | None) -> Iterator[Batch]:
        for start, batch in self.table.batches(shuffle_seed):
            chosen = self.assignment[start : start + batch.num_rows] == self.part
            rows = batch.take(np.flatnonzero(chosen)) if not chosen.all() else batch
            raw, _ = raw_labels(rows.column(self.table.label.name), self.table.label.kind)
            numbers = self.labels.numbers(given_labels(raw, self.table.where))
            yield self.scaler.scale(self.encoder.encode(rows)), self.labels.view(numbers, self.view)


def load_table(
    reference: DataReference, options: DataOptions, seed: int, task: str = "auto"
) -> Dataset | StreamedDataset:
    """Return a table's dataset, streamed where ``options.stream`` or the free memory says so."""
    where = f"data {reference.text}"
    form = cast(Literal["csv", "parquet"], reference.kind)
    if must_stream(reference, options):
        table = open_table(reference.place, form, options.label, where)
        fitted = _fit(table, None, options, (seed, task))
        return _streamed(table, fitted, (reference, options, seed))
    table, content = read_table(reference.place, form, options.label, where)
    fitted = _fit(table, content, options, (seed, task))
    x = fitted.encoder.encode(content)
    dataset = Dataset(
        **cut(Split(x, fitted.numbers), fitted.assignment, fitted.scaler),
        classes=fitted.labels.classes,
        scaling=fitted.scaler.document,
        fingerprint=fitted.fingerprint,
        source=reference.text,
        columns=fitted.encoder.names,
        labels=fitted.labels,
        view="given",
    )
    dataset = dataset.viewed("codes") if fitted.labels.form == "classes" else dataset
    return weighted_by_class(dataset, options.class_weight, where)


def must_stream(reference: DataReference, options: DataOptions) -> bool:
    """Tell whether a table is streamed: as told, or when it takes a quarter of the free memory."""
    if options.stream != "auto":
        return bool(options.stream)
    form = cast(Literal["csv", "parquet"], reference.kind)
    size = bytes_in_memory(reference.place, form, f"data {reference.text}")
    free: int = psutil.virtual_memory().available
    return size > SHARE_OF_MEMORY * free


def _fit(table: TableFile, content: Any, options: DataOptions, asked: tuple[int, str]) -> _Fitted:
    """Run the two passes, over the content in memory or over the file where it is None. ``asked``: seed and task."""
    seed, task = asked
    labels, numbers = scan_labels(table, _batches(table, content), task)
    labels, assignment = assigned(
        labels, {"train": numbers}, missing_shares((), options), (seed, table.where)
    )
    if labels.fault and task in ("classification", "binary"):
        raise DataError(labels.fault)
    content_of = labels.view(numbers, "codes") if labels.form == "classes" else numbers
    fit = TableFit(table)
    for start, batch in _batches(table, content):
        rows = slice(start, start + batch.num_rows)
        fit.add(batch, content_of[rows], assignment[rows] == 0)
    fit.check()
    scaler = fit_scaler(options.scale, fit.moments())
    labels = labels.fitted(numbers[assignment == 0])
    return _Fitted(labels, numbers, assignment, fit.encoder(), scaler, fit.digest(labels))


def _batches(table: TableFile, content: Any) -> Batches:
    return table.batches() if content is None else [(0, content)]


def _streamed(
    table: TableFile, fitted: _Fitted, opened: tuple[DataReference, DataOptions, int]
) -> StreamedDataset:
    reference, options, seed = opened
    splits: dict[str, Any] = {}
    view: View = "codes" if fitted.labels.form == "classes" else "given"
    for number, part in enumerate(PARTS):
        reader = TableBatches(
            table, fitted.encoder, fitted.scaler, fitted.labels, fitted.assignment, number, view
        )
        rows = int(np.count_nonzero(fitted.assignment == number))
        splits[part] = StreamedSplit(rows, reader)
    return StreamedDataset(
        **splits,
        classes=fitted.labels.classes,
        scaling=fitted.scaler.document,
        fingerprint=fitted.fingerprint,
        source=reference.text,
        input_shape=(len(fitted.encoder.names),),
        reference=reference,
        options=options,
        seed=seed,
        columns=fitted.encoder.names,
        labels=fitted.labels,
        view=view,
    )
