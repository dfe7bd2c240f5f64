"""Learning by compiled epochs over tensors in memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np

from orchestrator.training.compiling import Compiled
from orchestrator.training.learner import (
    Epoch,
    Part,
    SplitName,
    Tensors,
    index_batches,
    losses_by_row,
)
from orchestrator.training.pace import Pace
from orchestrator.training.program import EVALUATION_BATCH, Program, arrays_of, assign_all, rows_of
from orchestrator.training.validation_metrics import ValidationMetrics


class CompiledLearner:
    """Learns by compiled epochs over tensors in memory."""

    path: Literal["compiled", "fit"] = "compiled"

    @property
    def goes_on(self) -> bool:
        """Return whether a checkpoint is all that training depends on, as far as it was traced."""
        return self.reusable

    def __init__(
        self,
        compiled: Compiled,
        tensors: Tensors,
        asked_momentum: float,
        by_name: ValidationMetrics,
    ) -> None:
        self.compiled = compiled
        self._tensors = tensors
        rows = tensors.of("train", compiled.labels)
        self.program = Program(compiled, rows, asked_momentum, by_name)
        self.batch_norm = self.program.batch_norm
        self._pace = Pace()

    @property
    def reusable(self) -> bool:
        """Return whether a further trial of the same structure may have the program."""
        return self.program.reusable

    def close(self) -> None:
        """Do nothing: a program waits for the next trial."""

    def train(self, epoch: Epoch, done: int = 0) -> Part:
        """Train a part of an epoch, a cheap one whole, after the ``done`` steps that were trained of it."""
        data = self._tensors.of("train", self.compiled.labels)
        size = epoch.batch_size
        order = self._tensors.order(epoch)
        rows = order[done * size : (done + self._pace.steps(size)) * size]
        began = time.perf_counter()
        metrics = self.program.train(data, rows, size, goes_on=done > 0)
        steps = -(-len(rows) // size)
        self._pace.note(size, steps, time.perf_counter() - began)
        done += steps
        return Part(done, metrics if done * size >= len(order) else None)

    def accumulated(self) -> tuple[np.ndarray, ...]:
        """Return what metrics have accumulated by the middle of an epoch."""
        return arrays_of(self.compiled.model.metrics_variables)

    def go_on(self, accumulated: Sequence[np.ndarray]) -> None:
        """Give metrics what they had accumulated. Some of them exist only once the program is traced."""
        data = self._tensors.of("train", self.compiled.labels)
        self.program.train(data, np.zeros(0, np.int32), 1)
        assign_all(self.compiled.model.metrics_variables, accumulated)

    def batches(self, seed: int, batch_size: int) -> Iterator[Any]:
        """Yield the indices of training rows, whole batches for ever."""
        yield from index_batches(seed, batch_size, self._tensors.dataset.train.rows)

    def train_on(self, batch: Any) -> float:
        """Train on one batch; return its loss before the step."""
        data = self._tensors.of("train", self.compiled.labels)
        return self.program.train(data, batch, len(batch))["loss"]

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split."""
        return self.program.evaluate(self._tensors.of(split, self.compiled.labels))

    def row_losses(self, split: SplitName) -> list[float]:
        """Return the loss of each row of a split, in its order; the loss of all where no row's is known."""
        data = self._tensors.of(split, self.compiled.labels)
        steps = range(0, len(data[1]), EVALUATION_BATCH)
        batches = (rows_of(data, slice(at, at + EVALUATION_BATCH)) for at in steps)
        found = losses_by_row(self.compiled, batches)
        return [self.evaluate(split)["loss"]] if found is None else found

    def recalibrate(self) -> None:
        """Recompute BatchNormalization averages over training rows."""
        self.program.recalibrate(self._tensors.of("train", self.compiled.labels)[0])
