"""Learning by Keras's own ``fit``, where compiled epochs can't be had."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from orchestrator.data import StreamedDataset
from orchestrator.errors import TrialError
from orchestrator.training.batch_norm import RECALIBRATION_BATCH, LiveMomentum, recalibration_rows
from orchestrator.training.compiling import Compiled
from orchestrator.training.learner import (
    AnyDataset,
    Epoch,
    Part,
    SplitName,
    cross_entropies,
    index_batches,
)
from orchestrator.training.program import EVALUATION_BATCH, arrays_of, plain


def why_fit(model: Any, dataset: AnyDataset) -> str | None:
    """Return why a model must train by ``fit``, None where compiled epochs mean the same."""
    if isinstance(dataset, StreamedDataset):
        return "the data are streamed"
    for name in ("fit", "make_train_function"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            return f"the model overrides {name}()"
    if model.run_eagerly:
        return "the model runs eagerly"
    return None


class FitLearner:
    """Learns by ``model.fit``, one epoch a call, batches in the same order as compiled epochs take them."""

    path: Literal["compiled", "fit"] = "fit"

    def __init__(self, compiled: Compiled, dataset: AnyDataset, asked_momentum: float) -> None:
        self.compiled = compiled
        self._dataset = dataset
        self.batch_norm = LiveMomentum(compiled.model, asked_momentum)

    def train(self, epoch: Epoch, done: int = 0) -> Part:
        """Train one epoch whole."""
        if isinstance(self._dataset, StreamedDataset):
            stream = self._stream("train", epoch.batch_size, epoch.seed + epoch.number)
            history = self.compiled.model.fit(stream, shuffle=False, epochs=1, verbose=0)
        else:
            order = epoch.order(len(self._dataset.train.y))
            x, y = self._dataset.train.x[order], self._labels(self._dataset.train.y[order])
            history = self.compiled.model.fit(
                x, y, batch_size=epoch.batch_size, shuffle=False, epochs=1, verbose=0
            )
        if not isinstance(getattr(history, "history", None), dict):
            raise TrialError(
                f"fit(): expected Keras's History in return. Received: {type(history).__name__}."
            )
        return Part(0, plain({name: values[-1] for name, values in history.history.items()}))

    def accumulated(self) -> tuple[np.ndarray, ...]:
        """Return what metrics have accumulated: nothing, since an epoch is trained whole."""
        return ()

    def go_on(self, accumulated: Sequence[np.ndarray]) -> None:
        """Give metrics nothing."""

    def batches(self, seed: int, batch_size: int) -> Iterator[Any]:
        """Yield (x, y) of training rows for ever."""
        if isinstance(self._dataset, StreamedDataset):
            for again in itertools.count(seed):
                yield from self._dataset.train.batches(batch_size, again)
        train: Any = self._dataset.train
        for rows in index_batches(seed, batch_size, train.rows):
            yield train.x[rows], train.y[rows]

    def train_on(self, batch: Any) -> float:
        """Train on one batch; return its loss before the step."""
        x, y = batch
        self.compiled.model.reset_metrics()
        results = self.compiled.model.train_on_batch(x, self._labels(y), return_dict=True)
        return plain(results)["loss"]

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split."""
        if isinstance(self._dataset, StreamedDataset):
            return plain(
                self.compiled.model.evaluate(
                    self._stream(split, 1024, None), verbose=0, return_dict=True
                )
            )
        arrays = getattr(self._dataset, split)
        labels = self._labels(arrays.y)
        return plain(
            self.compiled.model.evaluate(
                arrays.x, labels, batch_size=1024, verbose=0, return_dict=True
            )
        )

    def row_losses(self, split: SplitName) -> list[float]:
        """Return the cross-entropy of each row of a split, in its order."""
        if isinstance(self._dataset, StreamedDataset):
            return cross_entropies(
                self.compiled.model, getattr(self._dataset, split).batches(EVALUATION_BATCH, None)
            )
        arrays = getattr(self._dataset, split)
        return cross_entropies(self.compiled.model, [(arrays.x, arrays.y)])

    def recalibrate(self) -> None:
        """Recompute BatchNormalization averages over training rows, in eager forward passes."""
        if not self.batch_norm.layers:
            return
        averages = {id(variable) for variable in self.batch_norm.averages}
        state = [v for v in self.compiled.model.non_trainable_variables if id(v) not in averages]
        kept = zip(state, arrays_of(state), strict=True)
        for at, batch in enumerate(self._training_batches()):
            self.batch_norm.set_all(at / (at + 1))
            self.compiled.model(batch, training=True)
        self.batch_norm.restore()
        for variable, value in kept:
            variable.assign(value)

    def _training_batches(self) -> Any:
        if isinstance(self._dataset, StreamedDataset):
            seen = 0
            for x, _ in self._dataset.train.batches(256, 0):
                yield x
                seen += len(x)
                if seen >= 10_000:
                    return
            return
        rows = recalibration_rows(len(self._dataset.train.y))
        for start in range(0, len(rows), RECALIBRATION_BATCH):
            yield self._dataset.train.x[rows[start : start + RECALIBRATION_BATCH]]

    def _stream(self, split: SplitName, batch_size: int, shuffle_seed: int | None) -> Any:
        dataset: Any = self._dataset
        source = getattr(dataset, split)
        signature = (
            tf.TensorSpec((None, *dataset.input_shape), tf.float32),
            tf.TensorSpec((None, dataset.num_classes), tf.float32)
            if self.compiled.one_hot
            else tf.TensorSpec((None,), tf.int32),
        )

        def batches() -> Any:
            for x, y in source.batches(batch_size, shuffle_seed):
                yield x, self._labels(y)

        return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(2)

    def _labels(self, y: np.ndarray) -> np.ndarray:
        if not self.compiled.one_hot:
            return y
        eye: np.ndarray = np.eye(self._dataset.num_classes, dtype=np.float32)[y]
        return eye
