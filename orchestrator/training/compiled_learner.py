"""Learning by compiled epochs over tensors in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from orchestrator.training.compiling import Compiled
from orchestrator.training.learner import Epoch, SplitName, Tensors, cross_entropies, index_batches
from orchestrator.training.program import EVALUATION_BATCH, Program


class CompiledLearner:
    """Learns by compiled epochs over tensors in memory."""

    path: Literal["compiled", "fit"] = "compiled"

    def __init__(self, compiled: Compiled, tensors: Tensors, asked_momentum: float) -> None:
        self.compiled = compiled
        self._tensors = tensors
        self.program = Program(compiled, *tensors.of("train", compiled.one_hot), asked_momentum)
        self.batch_norm = self.program.batch_norm

    def train(self, epoch: Epoch) -> dict[str, float]:
        """Train one epoch; return Keras's metrics."""
        x, y = self._tensors.of("train", self.compiled.one_hot)
        return self.program.train(x, y, epoch.order(int(x.shape[0])), epoch.batch_size)

    def batches(self, seed: int, batch_size: int) -> Iterator[Any]:
        """Yield the indices of training rows, whole batches for ever."""
        yield from index_batches(seed, batch_size, self._tensors.dataset.train.rows)

    def train_on(self, batch: Any) -> float:
        """Train on one batch; return its loss before the step."""
        x, y = self._tensors.of("train", self.compiled.one_hot)
        return self.program.train(x, y, batch, len(batch))["loss"]

    def evaluate(self, split: SplitName) -> dict[str, float]:
        """Return Keras's metrics over a split."""
        return self.program.evaluate(*self._tensors.of(split, self.compiled.one_hot))

    def row_losses(self, split: SplitName) -> list[float]:
        """Return the cross-entropy of each row of a split, in its order."""
        x, y = self._tensors.of(split, one_hot=False)
        steps = range(0, int(x.shape[0]), EVALUATION_BATCH)
        batches = ((x[at : at + EVALUATION_BATCH], y[at : at + EVALUATION_BATCH]) for at in steps)
        return cross_entropies(self.compiled.model, batches)

    def recalibrate(self) -> None:
        """Recompute BatchNormalization averages over training rows."""
        self.program.recalibrate(self._tensors.of("train", self.compiled.one_hot)[0])
