"""What training backends have in common: an epoch and its parts, the data as tensors, what a backend can be asked."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import keras
import numpy as np

from orchestrator.data import Dataset, StreamedDataset, View
from orchestrator.training.batch_norm import LiveMomentum
from orchestrator.training.keras_backend import array_of, constant, inference
from orchestrator.training.task import ROWS_LOOKED_AT, LabelForm
from orchestrator.training.trial_model import Compiled

SplitName = Literal["train", "validation", "test"]
AnyDataset = Dataset | StreamedDataset
EVALUATION_BATCH = 1024


@dataclass(frozen=True)
class Epoch:
    """What one epoch's training needs: its number from 0, the trial's seed, rows a batch."""

    number: int
    seed: int
    batch_size: int

    def order(self, rows: int) -> np.ndarray:
        """Return the rows' order, a pure function of (seed, epoch): resuming and rolling back repeat it."""
        return np.random.default_rng([self.seed, self.number]).permutation(rows)


@dataclass(frozen=True)
class EpochPosition:
    """Where in the middle of an epoch a trial is: the steps done of it, and the seconds these took."""

    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Chunk:
    """A chunk of an epoch, just trained: the steps done by its end, and Keras's metrics if that is the epoch's.

    ``validation`` are those over the validation rows where they were taken along; ``ended`` says why there is no
    further epoch to train. ``seconds`` is what it took where others were trained along with it.
    """

    steps: int
    metrics: dict[str, float] | None
    validation: dict[str, float] | None = None
    ended: str | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Fitting:
    """What a fit is given besides the model and the data: all its epochs, and a trial's Keras callbacks."""

    epochs: int
    callbacks: tuple[Any, ...] = ()


class Backend(Protocol):
    """A compiled model and the data it learns from."""

    compiled: Compiled
    batch_norm: LiveMomentum
    path: Literal["compiled", "fit"]

    @property
    def reusable(self) -> bool:
        """Return whether a further trial of the same structure may have the program: it holds nothing of this trial."""

    @property
    def goes_on(self) -> bool:
        """Return whether a checkpoint is all that training depends on; if not, an interrupted trial starts again."""

    def train(self, epoch: Epoch, done: int = 0) -> Chunk:
        """Train a chunk of an epoch, a cheap one whole, after the ``done`` steps that were trained of it."""

    def accumulated(self) -> tuple[np.ndarray, ...]:
        """Return what metrics have accumulated by the middle of an epoch."""

    def go_on(self, accumulated: Sequence[np.ndarray]) -> None:
        """Give metrics what they had accumulated. Other state may be lost: restore it after."""

    def batches(self, seed: int, batch_size: int) -> Iterator[Any]:
        """Yield batches of training rows without end, as ``train_on`` takes them."""

    def train_on(self, batch: Any) -> float:
        """Train on one batch; return its loss before the step."""

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split."""

    def row_losses(self, split: SplitName) -> list[float]:
        """Return the loss of each row of a split, in its order; the loss of all where no row's is known."""

    def recalibrate(self) -> None:
        """Recompute BatchNormalization averages over training rows."""

    def get_ready(self) -> None:
        """Expect the next epoch to be asked for, once all that train along with it are ready."""

    def settle(self) -> None:
        """Have the model hold the trial's state, where that lies elsewhere while it trains."""

    def close(self) -> None:
        """End: there is nothing more to train."""


@dataclass
class Slot:
    """A warm backend, why it is not a compiled one, if it is not, and the builds that it can do without.

    ``stored`` is where its programs are kept on disk, None where they are not.
    """

    backend: Backend
    reason: str | None
    stored: Any = None
    spared: list[Any] = field(default_factory=list)


class Tensors:
    """A dataset's splits as tensors, made once a worker and split when first asked for; where training is in an epoch.

    One epoch a worker: its order of rows, or its pass over a stream.
    """

    def __init__(self, dataset: AnyDataset) -> None:
        self.dataset = dataset
        self._made: dict[tuple[str, LabelForm], tuple[Any, ...]] = {}
        self._features: dict[str, Any] = {}
        self._views: dict[View, Any] = {}
        self._first: dict[LabelForm, Any] = {}
        self._sample: Any = None
        self._ordered: tuple[Epoch, np.ndarray] | None = None
        self.cursor = StreamCursor(self.batches)

    def order(self, epoch: Epoch) -> np.ndarray:
        """Return the training rows' order, drawn once for all chunks of an epoch."""
        if self._ordered is None or self._ordered[0] != epoch:
            self._ordered = (epoch, epoch.order(self.dataset.train.rows))
        return self._ordered[1]

    def of(self, split: SplitName, labels: LabelForm) -> tuple[Any, ...]:
        """Return (x, y) of a split, or (x, y, sample weights), its labels in the form that a loss takes."""
        key = (split, labels)
        if key not in self._made:
            if split not in self._features:
                self._features[split] = keras.tree.map_structure(
                    constant, self.rows(split, labels)[0]
                )
            y, *weight = self.rows(split, labels)[1:]
            made = keras.tree.map_structure(constant, (y, *weight))
            self._made[key] = (self._features[split], *made)
        return self._made[key]

    def rows(self, split: SplitName, labels: LabelForm) -> tuple[Any, ...]:
        """Return the same as NumPy arrays."""
        arrays: Any = getattr(self._viewed(labels), split)
        y = arrays.y if labels != "one_hot" else one_hot(arrays.y, self.dataset.num_classes)
        return (arrays.x, y) if arrays.weight is None else (arrays.x, y, arrays.weight)

    def batches(
        self,
        split: SplitName,
        labels: LabelForm,
        size: int,
        seed: int | None,
        epoch: int | None = None,
    ) -> Iterator[tuple[Any, ...]]:
        """Yield a stream's batches once, their labels in the form that a loss takes."""
        which = () if epoch is None else (epoch,)
        for x, y, *weight in getattr(self._viewed(labels), split).batches(size, seed, *which):
            yield (x, one_hot(y, self.dataset.num_classes) if labels == "one_hot" else y, *weight)

    def first_batch(self, labels: LabelForm) -> Any:
        """Return a batch of a stream, which tells the shapes and types of all."""
        if labels not in self._first:
            self._first[labels] = next(self.batches("train", labels, 2, None))
        return self._first[labels]

    def sample(self) -> Any:
        """Return some training rows' features."""
        if self._sample is None:
            train: Any = self.dataset.train
            streamed = isinstance(self.dataset, StreamedDataset)
            x = next(iter(train.batches(ROWS_LOOKED_AT, None)))[0] if streamed else train.x
            self._sample = keras.tree.map_structure(
                lambda array: constant(array[:ROWS_LOOKED_AT]), x
            )
        return self._sample

    def _viewed(self, labels: LabelForm) -> Any:
        view: View = "codes" if labels == "one_hot" else labels
        if view not in self._views:
            self._views[view] = self.dataset.viewed(view)
        return self._views[view]


def one_hot(codes: np.ndarray, classes: int) -> np.ndarray:
    """Return class numbers as float32 rows of one 1 among 0s."""
    rows: np.ndarray = np.eye(classes, dtype=np.float32)[codes]
    return rows


def losses_by_row(compiled: Compiled, batches: Iterable[Any]) -> list[float] | None:
    """Return the loss of each row at prediction, None where the model's loss does not tell."""
    if compiled.row_loss is None:
        return None
    found: list[np.ndarray] = []
    outputs_of = inference(compiled.model)
    for x, y, *_ in batches:
        prediction = outputs_of(x)
        values = compiled.row_loss(keras.ops.convert_to_tensor(y), prediction)
        rows = array_of(values).astype(np.float64)
        found.append(rows.reshape(len(prediction), -1).mean(axis=1))
    return [float(value) for values in found for value in values]


def index_batches(seed: int, batch_size: int, rows: int) -> Iterator[np.ndarray]:
    """Yield the indices of whole batches of training rows without end, reshuffled on each pass."""
    size = min(batch_size, rows)
    for again in itertools.count():
        order = np.random.default_rng([seed, again]).permutation(rows)
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]


class StreamCursor:
    """One epoch's pass over a stream; a worker has one at a time, since rows wait in memory and files are open."""

    def __init__(self, batches: Callable[..., Iterator[Any]]) -> None:
        self._pass = batches
        self._epoch: tuple[Epoch, LabelForm] | None = None
        self._batches: Iterator[Any] = iter(())
        self._next: Any = None
        self.read = 0

    @property
    def over(self) -> bool:
        """Return whether there is no further batch."""
        return self._next is None

    def seek(self, epoch: Epoch, done: int, labels: LabelForm) -> None:
        """Move behind the first ``done`` batches of an epoch, reading them again unless they were just read."""
        if (self._epoch, self.read) == ((epoch, labels), done) and done:
            return
        seed = epoch.seed + epoch.number
        batches = self._pass("train", labels, epoch.batch_size, seed, epoch.number)
        self._epoch, self.read = (epoch, labels), done
        self._batches = itertools.islice(batches, done, None)
        self._next = next(self._batches, None)

    def batches(self, steps: int | None) -> Iterator[Any]:
        """Yield the next ``steps`` batches, fewer where the epoch ends before; None: all that are left.

        A batch counts as read before it is yielded, since ``tf.data`` prefetches and may ask for one more at any time.
        """
        for _ in itertools.count() if steps is None else range(steps):
            batch = self._next
            if batch is None:
                return
            self._next = next(self._batches, None)
            self.read += 1
            yield batch


CHUNK_SECONDS = 10.0
"""What a chunk of an epoch takes. An epoch that is over sooner is one chunk, and costs what it did."""


class EpochChunker:
    """Says how many steps to train at once, from what the steps before took.

    The very first chunk is one step, which takes too long where something is compiled in it: the next chunk is then
    shorter than it might be, never longer.
    """

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._batch_size = 1

    def steps(self, batch_size: int) -> int:
        """Return how many steps of ``batch_size`` rows to train at once."""
        if self._seconds is None:
            return 1
        # A larger batch takes at most as much longer as it has more rows; a smaller one takes no longer.
        seconds = self._seconds * max(1.0, batch_size / self._batch_size)
        return max(1, int(CHUNK_SECONDS / seconds))

    def note(self, batch_size: int, steps: int, seconds: float) -> None:
        """Learn what so many steps took."""
        self._seconds = max(seconds / steps, 1e-9)
        self._batch_size = batch_size


_OPERATIONS = (
    "Random",
    "ParameterizedTruncatedNormal",
    "TruncatedNormal",
    "Multinomial",
    "PyFunc",
    "EagerPyFunc",
)
"""TensorFlow's own random operations, which count for themselves, and Python called from a graph."""


class UnseededDraws:
    """Whether a traced program draws numbers that no seed of a further trial would reach.

    Keras's layers draw from variables. NumPy's and Python's generators are read when a step is traced, so that what
    they gave is a constant of the program; TensorFlow's operations have states that nobody can put back.
    """

    def __init__(self) -> None:
        self.seen = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notice whether the block draws from NumPy's or Python's own generator."""
        before = _generators()
        yield
        self.seen = self.seen or _generators() != before

    def look_for_it_in(self, graph: Any) -> None:
        """Notice TensorFlow's random operations in a graph and in the functions that it calls."""
        from orchestrator.training.tensorflow_internals import operations_in

        kinds = operations_in(graph)
        self.seen = self.seen or any(kind.startswith(_OPERATIONS) for kind in kinds)


def _generators() -> Any:
    _, keys, position, *_ = np.random.get_state(legacy=True)
    return random.getstate(), position, np.asarray(keys).tobytes()
