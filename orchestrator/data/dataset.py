"""What a trial trains on: three splits of features and labels, in memory or as a stream; what a guess scores there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from orchestrator.data.labels import Labels, View
from orchestrator.data.table_columns import TableRecipe
from orchestrator.data.trees import Array, between, joined, leaves, row_count, shapes_of, take
from orchestrator.errors import DataError

if TYPE_CHECKING:
    from orchestrator.catalog import DataReference
    from orchestrator.config.data_options import DataOptions

Batch: TypeAlias = tuple[Any, ...]
BatchReader: TypeAlias = Callable[..., Iterator[Any]]
RAW_ROWS = 200
"""How many rows are kept as the user gave them, to prove that a saved model takes them."""
MOST_OF_A_LABEL = 64
PARTS = ("train", "validation", "test")
LARGE = MUCH_LARGER = 100.0
"""Of which mean size, or how much larger than another, a column may be before that is worth a hint."""


@dataclass(frozen=True)
class DataRequest:
    """Which data, how they are split and scaled, and what their labels are for. The same one gives the same rows.

    ``fold`` counts from 1, with ``data.folds``.
    """

    reference: DataReference
    options: DataOptions
    seed: int
    task: str = "auto"
    fold: int = 1

    @property
    def source(self) -> str:
        """The data as the user named them."""
        return self.reference.text

    @property
    def where(self) -> str:
        """What a message about these data begins with."""
        return f"data {self.source}"


@dataclass(frozen=True, eq=False)
class Folds:
    """The folds of one dataset: ``read`` gives that of a request. Plain values: a worker opens a fold itself."""

    count: int
    request: DataRequest = field(repr=False)
    read: Callable[[DataRequest], Any] = field(repr=False)

    def of_replicate(self, replicate: int | None) -> int:
        """Return the fold of a replicate by its number, from 1: the second, third, …; of any other trial the first."""
        return 1 + (replicate or 0) % self.count

    def open(self, fold: int, like: Dataset | StreamedDataset) -> Any:
        """Return the rows of a fold, counted from 1, their labels in the view that they have in ``like``.

        Raises DataError where they are not the same data as its: the file changed since.
        """
        if not 1 <= fold <= self.count:
            raise ValueError(f"fold {fold} of {self.count}")
        found = self.read(replace(self.request, fold=fold))
        if found.fingerprint != like.fingerprint:
            where = f"{self.request.where}, fold {fold}"
            raise DataError(
                f"{where}: the data that the run began with were expected. Received: others."
            )
        return replace(found, others=self).viewed(like.view)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows in memory, all arrays contiguous and of ``rows`` rows.

    ``x``: an array, or several by name or in order; float32 where it was scaled, else of the user's own type (float64
    becomes float32, as in Keras). ``y``: what the loss is given, class numbers (int32) unless the task takes another
    view. ``given``: the labels as the user gave them, None where that is ``y``. ``weight``: float32 sample weights.
    """

    x: Any = field(repr=False)
    y: Any = field(repr=False)
    given: Any = field(default=None, repr=False)
    weight: npt.NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return row_count(self.y)

    @property
    def labels(self) -> Any:
        """The labels as the user gave them."""
        return self.y if self.given is None else self.given


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data in memory, split and scaled; plain arrays, so that a worker can share their memory.

    ``scaling`` says what was fitted on the training rows (``{"how": "standard", "mean": [...],
    "std": [...]}``), one figure for each entry of the last axis. ``columns`` names the features of
    a table after encoding and is empty for arrays; ``table`` says how a table's columns became
    them. ``fingerprint`` is of the unscaled content. ``labels`` says what is known of the labels,
    ``view`` which form of them ``y`` has. ``division`` says how rows were split along groups or times or into folds,
    and is empty otherwise; ``others`` opens the other folds. ``raw`` holds the first RAW_ROWS of ``last`` as the user
    gave them, a table's by column; None where ``x`` is that.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    scaling: dict[str, Any]
    fingerprint: str
    source: str
    columns: tuple[str, ...] = ()
    labels: Labels = field(default_factory=Labels)
    view: View = "codes"
    table: TableRecipe | None = None
    raw: Any = field(default=None, repr=False)
    division: Mapping[str, Any] = field(default_factory=dict)
    others: Folds | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.classes and not self.labels.classes:
            object.__setattr__(self, "labels", replace(self.labels, classes=self.classes))

    def fold(self, number: int) -> Dataset:
        """Return the same data, split as in a fold counted from 1; scaling is fitted on that fold's training rows."""
        return self if self.others is None else self.others.open(number, self)

    @property
    def last(self) -> Split:
        """The test rows, or the validation rows where there are none."""
        return self.test if self.test.rows else self.validation

    @property
    def input_shape(self) -> Any:
        """The shape of one row of features; a dictionary or tuple of shapes for several inputs."""
        return shapes_of(self.train.x)

    @property
    def num_classes(self) -> int:
        """The units that a head needs: one a class, or one a column of labels that are no classes."""
        return len(self.classes) or self.labels.width

    @property
    def streamed(self) -> bool:
        """False: the rows are in memory."""
        return False

    def head(self, rows: int) -> Dataset:
        """Return a dataset of the first training rows, in all its splits: enough to look at a model."""
        some = take_split(self.train, rows)
        return replace(self, train=some, validation=some, test=some, others=None)

    def viewed(self, view: View) -> Dataset:
        """Return the same rows with their labels in another form."""
        if view == self.view:
            return self

        def seen(split: Split) -> Split:
            given = split.labels
            y = self.labels.view(given, view)
            return Split(split.x, y, None if y is given else given, split.weight)

        parts: dict[str, Any] = {part: seen(getattr(self, part)) for part in PARTS}
        return replace(self, **parts, view=view)


def take_split(split: Split, rows: int) -> Split:
    """Return the first rows of a split."""
    x, y, given, weight = (
        between(tree, 0, rows) for tree in (split.x, split.y, split.given, split.weight)
    )
    return Split(x, y, given, weight)


@dataclass(frozen=True, eq=False)
class StreamedSplit:
    """Rows that are read when they are asked for.

    ``batches(batch_size, shuffle_seed, epoch=None)`` starts a new pass over all of them: (x, y), or
    (x, y, weight), as in Split; the last batch may be smaller; None keeps the order of the file, a
    seed shuffles within a bounded pool of rows. ``epoch`` is the number of the training epoch, by
    which an endless pipeline goes on where the one before ended; without it the pass is over the
    first rows. The reader is picklable and opens the data again where it is used.
    """

    rows: int
    batches: BatchReader = field(repr=False)

    def sample(self, rows: int, among: int) -> Sample:
        """Return ``rows`` rows drawn from the first ``among``, in their order: the same ones at every call."""
        draw, kept, keys = np.random.default_rng(0), None, np.zeros(0)
        read, labels = 0, []
        for batch in self.batches(max(1, min(rows, among)), None):
            fresh = between(batch[:2], 0, among - read)
            read += row_count(fresh)
            if all(array[:1].size <= MOST_OF_A_LABEL for _, array in leaves(fresh[1])):
                labels.append(fresh[1])
            # The rows of the smallest keys are a sample of all that were read so far.
            kept = fresh if kept is None else joined([kept, fresh])
            keys = np.concatenate([keys, draw.random(row_count(fresh))])
            if len(keys) > rows:
                chosen = np.sort(np.argpartition(keys, rows)[:rows])
                kept, keys = take(kept, chosen), keys[chosen]
            if read >= among:
                break
        if kept is None:
            raise DataError("a stream of data: rows were expected. Received: none.")
        x, y = kept
        return Sample(x, y, read, joined(labels) if labels else y)


@dataclass(frozen=True, eq=False)
class Sample:
    """Rows drawn from a stream, features and labels; how many were ``read`` for it, and the labels of all of those.

    Labels of more than ``MOST_OF_A_LABEL`` numbers, such as masks, are those of the rows drawn alone.
    """

    x: Any = field(repr=False)
    y: Any = field(repr=False)
    read: int
    labels: Any = field(repr=False)


@dataclass(frozen=True, eq=False)
class StreamedDataset:
    """Data that is not held in memory: the attributes of Dataset over StreamedSplits.

    ``reference``, ``options`` and ``seed`` are what it was opened from. A tf.data pipeline without
    a test set has a test split of 0 rows.
    """

    train: StreamedSplit
    validation: StreamedSplit
    test: StreamedSplit
    classes: tuple[str, ...]
    scaling: dict[str, Any]
    fingerprint: str
    source: str
    input_shape: tuple[int, ...]
    reference: DataReference
    options: DataOptions
    seed: int
    columns: tuple[str, ...] = ()
    labels: Labels = field(default_factory=Labels)
    view: View = "codes"
    table: TableRecipe | None = None
    division: Mapping[str, Any] = field(default_factory=dict)
    others: Folds | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.classes and not self.labels.classes:
            object.__setattr__(self, "labels", replace(self.labels, classes=self.classes))

    @property
    def num_classes(self) -> int:
        """The units that a head needs: one a class, or one a column of labels that are no classes."""
        return len(self.classes) or self.labels.width

    def head(self, rows: int) -> Dataset:
        """Return a dataset in memory of the first training rows, in all its splits: enough to look at a model."""
        x, y, *weight = next(iter(self.viewed("given").train.batches(rows, None)))
        some = Split(x, y, None, weight[0] if weight else None)
        same = {
            name: getattr(self, name) for name in ("classes", "scaling", "fingerprint", "source")
        }
        whole = Dataset(some, some, some, **same, labels=self.labels, view="given")
        return whole.viewed(self.view)

    def fold(self, number: int) -> StreamedDataset:
        """Return the same data, split as in a fold counted from 1; scaling is fitted on that fold's training rows."""
        return self if self.others is None else self.others.open(number, self)

    def viewed(self, view: View) -> StreamedDataset:
        """Return the same rows with their labels in another form."""
        if view == self.view:
            return self
        parts = {
            part: replace(split, batches=replace(split.batches, view=view))  # type: ignore[type-var]
            for part, split in ((part, getattr(self, part)) for part in PARTS)
            if split.rows
        }
        return replace(self, **parts, view=view)

    @property
    def streamed(self) -> bool:
        """True: the rows are read when they are asked for."""
        return True


def baseline(dataset: Dataset, quantities: bool = False) -> dict[str, float]:
    """Return the score of the best constant: the most frequent class or flag, or the mean, of the training rows.

    ``accuracy`` of classes; of flags their mean accuracy; of quantities ``mae``, in their unit, over rows and columns.
    Empty for labels of several outputs. ``quantities``: numbers are learned as such, whatever their form.
    """
    labels = dataset.labels
    train, validation = dataset.train.labels, dataset.validation.labels
    if labels.form == "classes" and not quantities:
        codes = labels.view(train, "codes")
        guess = int(np.bincount(codes).argmax())
        return {"accuracy": _mean(labels.view(validation, "codes") == guess)}
    if labels.form not in ("classes", "flags", "quantities"):
        return {}
    seen, true = labels.view(train, "columns"), labels.view(validation, "columns")
    mean = seen.mean(axis=0)
    if labels.form == "flags" and not quantities:
        return {"accuracy": _mean(true == (mean > 0.5))}
    return {"mae": _mean(np.abs(true - mean))}


def ill_sized(x: Any) -> str | None:
    """Return what of columns of floats is such that a plain net is better given scaled ones: they "are large", say."""
    flat = isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[1] > 1 and x.dtype.kind == "f"
    if not flat:
        return None
    sizes = np.abs(x).mean(axis=0)
    sizes = sizes[sizes > 0]
    if len(sizes) > 1 and sizes.max() > MUCH_LARGER * sizes.min():
        return "differ much in size"
    return "are large" if len(sizes) and sizes.max() > LARGE else None


def _mean(values: Array) -> float:
    return float(np.mean(values))
