"""tf.data pipelines that a user's function returns, reached through their own methods alone.

The user's function has imported TensorFlow already; nothing here needs to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.catalog import CallableReference
from orchestrator.data.dataset import (
    MOST_OF_A_LABEL,
    PARTS,
    RAW_ROWS,
    Batch,
    DataRequest,
    Dataset,
    Split,
    StreamedDataset,
    StreamedSplit,
    take_split,
)
from orchestrator.data.elements import (
    CHUNK_ROWS,
    Watch,
    check_steps,
    elements,
    endless,
    in_chunks,
    specs,
)
from orchestrator.data.given import call, check_features
from orchestrator.data.labels import Labels, View, describe, given_labels, of_task, plain_labels
from orchestrator.data.messages import refused
from orchestrator.data.scaling import Moments, Scaler, fit_scaler
from orchestrator.data.splits import check_given, check_weights, weighted_by_class
from orchestrator.data.trees import (
    POOL_BYTES,
    POOL_ROWS,
    as_keras_takes,
    between,
    bytes_for_data,
    joined,
    leaves,
    map_tree,
    rebatch,
    row_count,
    row_sum,
    shapes_of,
    take,
)
from orchestrator.errors import DataError

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions

_opened: dict[CallableReference, Mapping[str, Any]] = {}
_going: dict[CallableReference, Going] = {}
_chunked: dict[tuple[CallableReference, str], Any] = {}


@dataclass(frozen=True, eq=False)
class PipelineBatches:
    """The batches of one pipeline; picklable: a worker calls the user's function once itself.

    ``rows`` is the length of a pass over a pipeline that is read in steps (``steps_per_epoch``),
    None where it is read to its end. Such a training pipeline is repeated, and epoch after epoch
    goes on where the one before ended, as in Keras's ``fit``: which rows are an epoch's depends on
    its number alone. Validation starts from the first row each time, as in Keras too. ``few``: rows that are all
    shuffled at once (``rebatch``), so that it does not matter in which batches they are read.
    """

    function: CallableReference
    part: str
    labels: Labels
    scaler: Scaler
    where: str
    rows: int | None = None
    view: View = "codes"
    few: bool = False

    def __call__(
        self, batch_size: int, shuffle_seed: int | None, epoch: int | None = None
    ) -> Iterator[Batch]:
        """Yield the pipeline's batches once; see StreamedSplit."""
        return rebatch(self._chunks(epoch), batch_size, shuffle_seed)

    def raw(self, rows: int) -> Any:
        """Return the features of the pipeline's first rows before any scaling."""
        unscaled = replace(self, scaler=fit_scaler("none", None))
        return next(iter(unscaled(rows, None)))[0]

    def _chunks(self, epoch: int | None) -> Iterator[Batch]:
        if self.function not in _opened:
            remember(self.function, call(self.function, self.where))
        for x, y, *weights in self._elements(_opened[self.function][self.part], epoch):
            given = given_labels(y, self.where)
            self._check_known(given)
            seen = self.labels.view(self.labels.numbers(given), self.view)
            yield (map_tree(self.scaler.scale, x), seen, *map_tree(as_keras_takes, tuple(weights)))

    def _elements(self, pipeline: Any, epoch: int | None) -> Iterator[Any]:
        if self.rows is None:
            return elements(self._in_chunks(pipeline) if self.few else pipeline, self.where)
        if epoch is None:
            return Going(elements(pipeline.repeat(), self.where), self.rows).read(0)
        going = _going.get(self.function)
        if going is None or going.epoch is None or going.epoch > epoch:
            going = Going(elements(pipeline.repeat(), self.where), self.rows)
            _going[self.function] = going
        return going.read(epoch)

    def _in_chunks(self, pipeline: Any) -> Any:
        key = (self.function, self.part)
        if key not in _chunked:
            _chunked[key] = in_chunks(pipeline, self.where)
        return _chunked[key]

    def _check_known(self, given: Any) -> None:
        """Refuse a label that the pass over the first batches did not find."""
        known = self.labels.values
        if self.rows is None or self.labels.form != "classes" or known is None or given.ndim != 1:
            return
        unknown = np.setdiff1d(plain_labels(given, self.where).values, known)
        if len(unknown):
            expected = "labels that the first steps have were expected in all"
            hint = "Write a greater data.steps_per_epoch, or shuffle."
            raise refused(self.where, expected, repr(unknown.tolist()[0]), hint)


class Going:
    """A pipeline that is read on and on, in epochs of ``rows`` rows.

    ``epoch`` is the next one, None while one is being read or after it was left before its end.
    """

    def __init__(self, chunks: Iterator[Any], rows: int) -> None:
        self._chunks = chunks
        self._rows = rows
        self._left: Any = None
        self.epoch: int | None = 0

    def read(self, epoch: int) -> Iterator[Any]:
        """Yield the rows of an epoch, after those before it were passed over."""
        for number in range(self.epoch or 0, epoch + 1):
            self.epoch = None
            needed = self._rows
            while needed:
                chunk = self._left or next(self._chunks)
                taken = min(needed, row_count(chunk))
                rest = between(chunk, taken, None)
                self._left = rest if row_count(rest) else None
                needed -= taken
                if number == epoch:
                    yield between(chunk, 0, taken)
            self.epoch = number + 1


def remember(function: CallableReference, pipelines: Mapping[str, Any]) -> None:
    """Keep the pipelines of the function last called, for this process' next passes."""
    _opened.clear()
    _going.clear()
    _chunked.clear()
    _opened[function] = pipelines


def load_pipelines(
    pipelines: Mapping[str, Any], function: CallableReference, request: DataRequest
) -> Dataset | StreamedDataset:
    """Return the dataset of the pipelines that a user's function gave, after one pass over all of them.

    The pass finds labels, rows and features that are no finite numbers. ``scale: auto`` leaves
    the values as the pipeline makes them. The fingerprint does not depend on the order of rows,
    but a pipeline that augments at random has another one each time. No test pipeline: 0 rows.
    ``stream: false``: the rows of one more pass, in memory.
    """
    options, where = request.options, request.where
    _check_kept(options, where)
    remember(function, pipelines)
    steps = {part: _steps(part, options) for part in pipelines}
    scans = {part: _scan(pipelines[part], f"{where} ({part})", steps[part]) for part in pipelines}
    _check_shapes({part: scan.shape for part, scan in scans.items()}, where)
    labels = _labels(scans, request.task, where)
    scaler = fit_scaler(options.scale.replace("auto", "none"), scans["train"].moments)
    view: View = "codes" if labels.form == "classes" else "given"
    splits: dict[str, Any] = {part: StreamedSplit(0, no_batches) for part in PARTS}
    for part, scan in scans.items():
        rows = scan.rows if steps[part].count else None
        reader = PipelineBatches(function, part, labels, scaler, where, rows, view, scan.few)
        splits[part] = StreamedSplit(scan.rows, reader)
    streamed = StreamedDataset(
        **splits,
        classes=labels.classes,
        scaling=scaler.document,
        fingerprint=_fingerprint(scans, labels),
        source=request.source,
        input_shape=scans["train"].shape,
        reference=request.reference,
        options=options,
        seed=request.seed,
        labels=labels,
        view=view,
    )
    if options.stream is not False:
        return streamed
    return weighted_by_class(_kept(streamed, scaler, where), options.class_weight, where)


def _check_kept(options: DataOptions, where: str) -> None:
    """Refuse to keep the rows of a pipeline whose epochs have other ones each."""
    if options.stream is False and options.steps_per_epoch is not None:
        expected = "data.stream: false was expected without data.steps_per_epoch"
        hint = "Keep so many batches alone, by .take() in the function, or leave data.stream out."
        raise refused(where, expected, f"data.steps_per_epoch: {options.steps_per_epoch}", hint)


def _kept(streamed: StreamedDataset, scaler: Scaler, where: str) -> Dataset:
    """Return the rows of one pass in memory. Those of training are put in an order that no shuffling before changes."""
    plain, rows = streamed.viewed("given"), dict[str, Any]()
    free = bytes_for_data()
    for part in (each for each in PARTS if getattr(plain, each).rows):
        unscaled = replace(getattr(plain, part).batches, scaler=fit_scaler("none", None))
        chunks = []
        for chunk in unscaled(CHUNK_ROWS, None):
            free -= sum(array.nbytes for _, array in leaves(chunk))
            if free < 0:
                expected = "rows that fit in a quarter of the free memory were expected with data.stream: false"
                raise refused(where, expected, "more", "Leave data.stream out.")
            chunks.append(chunk)
        rows[part] = joined(chunks)
    rows["train"] = take(rows["train"], _by_content(rows["train"]))
    raw = between(rows["test" if "test" in rows else "validation"][0], 0, RAW_ROWS)
    splits: dict[str, Any] = {
        part: Split(
            map_tree(scaler.scale, x), y, None, check_weights(weight, x, f"{where} ({part})")
        )
        for part, (x, y, *weight) in rows.items()
    }
    splits.setdefault("test", take_split(splits["validation"], 0))
    same = {name: getattr(streamed, name) for name in ("classes", "fingerprint", "source")}
    dataset = Dataset(
        **splits,
        **same,
        scaling=scaler.document,
        labels=streamed.labels.fitted(splits["train"].y),
        view="given",
        raw=None if scaler.how == "none" else raw,
    )
    return dataset.viewed(streamed.view)


def _by_content(rows: Any) -> list[int]:
    """Return the order of rows by a hash of each."""
    arrays = [np.ascontiguousarray(array) for _, array in leaves(rows)]
    hashes = [
        hashlib.sha256(b"".join(array[at].tobytes() for array in arrays)).digest()
        for at in range(row_count(rows))
    ]
    return sorted(range(len(hashes)), key=hashes.__getitem__)


def _fingerprint(scans: Mapping[str, _Scan], labels: Labels) -> str:
    prints = [f"{part} {scan.rows} {scan.content:064x}" for part, scan in scans.items()]
    return hashlib.sha256(
        "\0".join([*prints, *labels.classes]).encode("utf-8", "surrogatepass")
    ).hexdigest()


def _check_shapes(shapes: Mapping[str, Any], where: str) -> None:
    if any(shape != shapes["train"] for shape in shapes.values()):
        received = ", ".join(f"{part} {shape}" for part, shape in shapes.items())
        raise refused(where, "rows of one shape in all splits were expected", received)


def _labels(scans: Mapping[str, _Scan], task: str, where: str) -> Labels:
    """Return what the labels of all pipelines are."""
    y = {part: scan.labels for part, scan in scans.items()}
    labels = of_task(describe(list(y.values()), where), y, task, where)
    if labels.form != "classes":
        return labels.fitted(y["train"])
    codes = {part: labels.view(labels.numbers(given), "codes") for part, given in y.items()}
    counts = {part: np.bincount(c, minlength=len(labels.classes)) for part, c in codes.items()}
    try:
        check_given(counts, labels.classes, where)
    except DataError as error:
        if task in ("classification", "binary") or not labels.are_numbers:
            raise
        return replace(labels, fault=str(error))
    return labels


def no_batches(
    batch_size: int, shuffle_seed: int | None, epoch: int | None = None
) -> Iterator[Batch]:
    """Return the batches of a split without rows: none."""
    return iter(())


@dataclass(frozen=True, eq=False)
class _Scan:
    """What one pass over a pipeline finds; labels of more than ``MOST_OF_A_LABEL`` numbers are those of one batch."""

    rows: int
    bytes: int
    shape: Any
    labels: Any
    moments: Moments | None
    content: int

    @property
    def few(self) -> bool:
        """Whether the pool that rows are shuffled in takes all of them at once, whatever the batch size."""
        return self.rows < POOL_ROWS and self.bytes < POOL_BYTES


@dataclass(frozen=True)
class _Steps:
    """The option that says how many batches of a pipeline are read, and what it says."""

    key: str
    count: int | None


def _steps(part: str, options: DataOptions) -> _Steps:
    if part == "train":
        return _Steps("data.steps_per_epoch", options.steps_per_epoch)
    return _Steps("data.validation_steps", options.validation_steps)


def _read(pipeline: Any, where: str, steps: _Steps) -> Iterator[Any]:
    """Yield what is read of a pipeline before the run: all of it, or so many batches."""
    key = steps.key
    if steps.count is not None:
        check_steps(pipeline, where, key)
        yield from elements(pipeline.repeat().take(steps.count), where)
        return
    if endless(pipeline):
        hint = f"Leave .repeat() out, or write {key}: 100 for so many batches."
        raise refused(where, "a tf.data.Dataset that ends was expected", "an endless one", hint)
    watch = Watch(pipeline, where, key)
    for element in elements(pipeline, where):
        watch(element[0])
        yield element


def _scan(pipeline: Any, where: str, steps: _Steps) -> _Scan:
    rows, size, content, shape = 0, 0, 0, None
    moments: Moments | None = None
    labels: list[Any] = []
    specs(pipeline, where)
    for raw_x, raw_y, *_ in _read(pipeline, where, steps):
        x, y = check_features(raw_x, where), given_labels(raw_y, where)
        if shape is None:
            shape = shapes_of(x)
        if shapes_of(x) != shape:
            raise refused(where, "rows of one shape were expected", f"{shape} and {shapes_of(x)}")
        if not isinstance(x, dict | tuple):
            moments = moments.plus(x) if moments else Moments.of(x)
        if not labels or all(array[0].size <= MOST_OF_A_LABEL for _, array in leaves(y)):
            labels.append(y)
        content = (content + row_sum(x, y)) % 2**256
        rows += row_count(x)
        size += sum(max(array.nbytes, 4 * array.size) for _, array in leaves(x))  # scaled, too
    if shape is None:
        raise refused(where, "rows were expected", "a tf.data.Dataset without elements")
    return _Scan(rows, size, shape, joined(labels), moments, content)
