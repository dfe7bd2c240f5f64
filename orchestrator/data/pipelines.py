"""tf.data pipelines that a user's function returns, reached through their own methods alone.

The user's function has imported TensorFlow already; nothing here needs to.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.data.batches import rebatch
from orchestrator.data.dataset import PARTS, Batch, StreamedDataset, StreamedSplit
from orchestrator.data.features import check_features
from orchestrator.data.fingerprint import row_sum
from orchestrator.data.functions import call
from orchestrator.data.labels import (
    Labels,
    PlainLabels,
    View,
    find_classes,
    given_labels,
    plain_labels,
)
from orchestrator.data.refusal import refused
from orchestrator.data.scaling import Moments, Scaler, fit_scaler
from orchestrator.data.splits import check_given
from orchestrator.data.trees import Array
from orchestrator.errors import DataError

if TYPE_CHECKING:
    from orchestrator.catalog import DataReference
    from orchestrator.config.options import DataOptions

_CHUNK_ROWS = 1_024
_opened: dict[CallableReference, Mapping[str, Any]] = {}


@dataclass(frozen=True, eq=False)
class PipelineBatches:
    """The batches of one pipeline; picklable: a worker calls the user's function once itself."""

    function: CallableReference
    part: str
    labels: Labels
    scaler: Scaler
    where: str
    view: View = "codes"

    def __call__(self, batch_size: int, shuffle_seed: int | None) -> Iterator[Batch]:
        """Yield the pipeline's batches once; see StreamedSplit."""
        return rebatch(self._chunks(), batch_size, shuffle_seed)

    def _chunks(self) -> Iterator[Batch]:
        if self.function not in _opened:
            remember(self.function, call(self.function, self.where))
        for x, y in _elements(_opened[self.function][self.part], self.where):
            numbers = self.labels.numbers(given_labels(y, self.where))
            yield self.scaler.scale(x), self.labels.view(numbers, self.view)


def remember(function: CallableReference, pipelines: Mapping[str, Any]) -> None:
    """Keep the pipelines of the function last called, for this process' next passes."""
    _opened.clear()
    _opened[function] = pipelines


def load_pipelines(
    pipelines: Mapping[str, Any], reference: DataReference, options: DataOptions, seed: int
) -> StreamedDataset:
    """Return the dataset of a user's pipelines, after one pass over all of them.

    The pass finds classes, rows and features that are no finite numbers. ``scale: auto`` leaves
    the values as the pipeline makes them. The fingerprint does not depend on the order of rows,
    but a pipeline that augments at random has another one each time. No test pipeline: 0 rows.
    """
    if reference.function is None:
        raise DataError(f"data {reference.text}: a function was expected.")
    where = f"data {reference.text}"
    remember(reference.function, pipelines)
    scans = {part: _scan(pipelines[part], f"{where} ({part})") for part in pipelines}
    shapes = {part: scan.shape for part, scan in scans.items()}
    if len(set(shapes.values())) > 1:
        received = ", ".join(f"{part} {shape}" for part, shape in shapes.items())
        raise refused(where, "rows of one shape in all splits were expected", received)
    labels = find_classes([scan.labels for scan in scans.values()], where)
    check_given({part: scan.counts(labels) for part, scan in scans.items()}, labels.classes, where)
    how = "none" if options.scale == "auto" else options.scale
    scaler = fit_scaler(how, scans["train"].moments)
    splits: dict[str, Any] = {part: StreamedSplit(0, no_batches) for part in PARTS}
    for part, scan in scans.items():
        reader = PipelineBatches(reference.function, part, labels, scaler, where)
        splits[part] = StreamedSplit(scan.rows, reader)
    prints = [f"{part} {scan.rows} {scan.content:064x}" for part, scan in scans.items()]
    return StreamedDataset(
        **splits,
        classes=labels.classes,
        scaling=scaler.document,
        fingerprint=hashlib.sha256("\0".join([*prints, *labels.classes]).encode()).hexdigest(),
        source=reference.text,
        input_shape=shapes["train"],
        reference=reference,
        options=options,
        seed=seed,
        labels=labels,
    )


def no_batches(batch_size: int, shuffle_seed: int | None) -> Iterator[Batch]:
    """Return the batches of a split without rows: none."""
    return iter(())


@dataclass(frozen=True, eq=False)
class _Scan:
    """What one pass over a pipeline finds."""

    rows: int
    shape: tuple[int, ...]
    different: Counter[Any]
    width: int | None
    moments: Moments
    content: int

    @property
    def labels(self) -> PlainLabels:
        """The different labels."""
        return PlainLabels(np.array(list(self.different)), self.width)

    def counts(self, labels: Labels) -> Array:
        """Return how many rows each class has."""
        counts = np.zeros(len(labels.classes), dtype=np.int64)
        counts[labels.codes(self.labels)] = list(self.different.values())
        return counts


def _scan(pipeline: Any, where: str) -> _Scan:
    scan: _Scan | None = None
    for raw_x, raw_y in _elements(pipeline, where):
        x = check_features(raw_x, where)
        plain = plain_labels(raw_y, where)
        different = Counter(plain.values.tolist())
        content = row_sum(x, plain.values)
        if scan is None:
            scan = _Scan(len(x), x.shape[1:], different, plain.width, Moments.of(x), content)
            continue
        if (x.shape[1:], plain.width) != (scan.shape, scan.width):
            received = f"{scan.shape} and {x.shape[1:]}"
            raise refused(where, "rows of one shape were expected", received)
        scan = _Scan(
            scan.rows + len(x),
            scan.shape,
            scan.different + different,
            scan.width,
            scan.moments.plus(x),
            (scan.content + content) % 2**256,
        )
    if scan is None:
        raise refused(where, "rows were expected", "a tf.data.Dataset without elements")
    return scan


def _elements(pipeline: Any, where: str) -> Iterator[tuple[Array, Array]]:
    """Yield (x, y) with rows first, batching a pipeline of single rows."""
    spec = pipeline.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2 or not all(hasattr(s, "shape") for s in spec):
        raise refused(where, "elements (x, y) were expected in the tf.data.Dataset", f"{spec}")
    if int(pipeline.cardinality()) == -1:
        expected = "a tf.data.Dataset that ends was expected"
        raise refused(where, expected, "an endless one", "Leave .repeat() out.")
    if not _is_batched(*spec):
        pipeline = pipeline.batch(_CHUNK_ROWS)
    with UsersCode(where, None, DataError):
        yield from pipeline.as_numpy_iterator()


def _is_batched(x: Any, y: Any) -> bool:
    """Tell whether elements are batches: labels have rows, as many as the features have.

    One-hot labels of single rows have a length too, but a known one that the features do not share.
    """
    if y.shape.rank is None or x.shape.rank is None or y.shape.rank != 1:
        return bool(y.shape.rank != 0)
    return bool(x.shape.rank > 0 and x.shape[0] == y.shape[0])
