"""What learning a trial's model takes: an epoch, the data as tensors, and what a learner can be asked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import keras
import numpy as np
import tensorflow as tf

from orchestrator.data import Dataset, StreamedDataset
from orchestrator.training.batch_norm import LiveMomentum
from orchestrator.training.compiling import Compiled
from orchestrator.training.reading import Reading

SplitName = Literal["train", "validation", "test"]
AnyDataset = Dataset | StreamedDataset


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
class Within:
    """Where in the middle of an epoch a trial is: the steps done of it, and the seconds these took."""

    steps: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Part:
    """A part of an epoch, just trained: the steps done by its end, and Keras's metrics if that is the epoch's.

    ``validation`` are those over the validation rows where they were taken along; ``ended`` says why there is no
    further epoch to train.
    """

    steps: int
    metrics: dict[str, float] | None
    validation: dict[str, float] | None = None
    ended: str | None = None


@dataclass(frozen=True)
class Fitting:
    """What a fit is given besides the model and the data: all its epochs, and a trial's Keras callbacks."""

    epochs: int
    callbacks: tuple[Any, ...] = ()


class Learner(Protocol):
    """A compiled model and the data it learns from."""

    compiled: Compiled
    batch_norm: LiveMomentum
    path: Literal["compiled", "fit"]

    @property
    def reusable(self) -> bool:
        """Return whether a further trial of the same structure may have the program: nothing in it is this one's."""

    @property
    def goes_on(self) -> bool:
        """Return whether a checkpoint is all that training depends on; else who was cut off has to start again."""

    def train(self, epoch: Epoch, done: int = 0) -> Part:
        """Train a part of an epoch, a cheap one whole, after the ``done`` steps that were trained of it."""

    def accumulated(self) -> tuple[np.ndarray, ...]:
        """Return what metrics have accumulated by the middle of an epoch."""

    def go_on(self, accumulated: Sequence[np.ndarray]) -> None:
        """Give metrics what they had accumulated. Other state may be lost: restore it after."""

    def batches(self, seed: int, batch_size: int) -> Iterator[Any]:
        """Yield batches of training rows for ever, as ``train_on`` takes them."""

    def train_on(self, batch: Any) -> float:
        """Train on one batch; return its loss before the step."""

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split."""

    def row_losses(self, split: SplitName) -> list[float]:
        """Return the cross-entropy of each row of a split, in its order."""

    def recalibrate(self) -> None:
        """Recompute BatchNormalization averages over training rows."""

    def close(self) -> None:
        """Have no more to train."""


class Tensors:
    """A dataset's splits as tensors, made once a worker and split when first asked for; where training is in an epoch.

    One epoch a worker: its order of rows, or its pass over a stream.
    """

    def __init__(self, dataset: AnyDataset) -> None:
        self.dataset = dataset
        self._made: dict[tuple[str, bool], tuple[Any, Any]] = {}
        self._ordered: tuple[Epoch, np.ndarray] | None = None
        self.reading = Reading(dataset.train)

    def order(self, epoch: Epoch) -> np.ndarray:
        """Return the training rows' order, drawn once for all parts of an epoch."""
        if self._ordered is None or self._ordered[0] != epoch:
            self._ordered = (epoch, epoch.order(self.dataset.train.rows))
        return self._ordered[1]

    def of(self, split: SplitName, one_hot: bool) -> tuple[Any, Any]:
        """Return (x, y) of a split."""
        key = (split, one_hot)
        if key not in self._made:
            arrays: Any = getattr(self.dataset, split)
            other = self._made.get((split, not one_hot))
            x = other[0] if other else tf.constant(arrays.x)
            y = tf.one_hot(arrays.y, self.dataset.num_classes) if one_hot else tf.constant(arrays.y)
            self._made[key] = (x, y)
        return self._made[key]


def cross_entropies(model: Any, batches: Iterable[Any]) -> list[float]:
    """Return the cross-entropy of each row at prediction."""
    loss = keras.losses.sparse_categorical_crossentropy
    found = [np.array(loss(y, model(x, training=False))) for x, y in batches]
    return [float(value) for values in found for value in values]


def index_batches(seed: int, batch_size: int, rows: int) -> Iterator[np.ndarray]:
    """Yield the indices of whole batches of training rows for ever, shuffled anew each time through."""
    size = min(batch_size, rows)
    for again in itertools.count():
        order = np.random.default_rng([seed, again]).permutation(rows)
        for start in range(0, rows - size + 1, size):
            yield order[start : start + size]
