"""The compiled epoch: one TensorFlow program loops over an epoch's batches around the model's own ``train_step``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from orchestrator.training.backend import (
    EVALUATION_BATCH,
    Chunk,
    Epoch,
    EpochChunker,
    SplitName,
    Tensors,
    UnseededDraws,
    index_batches,
    losses_by_row,
)
from orchestrator.training.batch_norm import RECALIBRATION_BATCH, LiveMomentum, recalibration_rows
from orchestrator.training.channel_norm import fast_channels
from orchestrator.training.keras_internals import (
    build_metrics,
    compiled_metrics_are_built,
    resets_variables_alone,
)
from orchestrator.training.program_store import KeptProgram, StoredPrograms, named
from orchestrator.training.reported import plain
from orchestrator.training.row_metrics import FiguresByName
from orchestrator.training.tensorflow_internals import (
    forget_custom_gradients,
    scratch_gradients_forgotten,
)
from orchestrator.training.trial_model import Compiled, arrays_of, assign_all


class CompiledBackend:
    """Trains by compiled epochs over tensors in memory."""

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
        by_name: FiguresByName,
        stored: StoredPrograms | None = None,
    ) -> None:
        self.compiled = compiled
        self._tensors = tensors
        rows = tensors.of("train", compiled.labels)
        self.program = CompiledEpoch(compiled, rows, asked_momentum, by_name, stored)
        self.batch_norm = self.program.batch_norm
        self._chunker = EpochChunker()

    @property
    def reusable(self) -> bool:
        """Return whether a further trial of the same structure may have the program."""
        return self.program.reusable

    def get_ready(self) -> None:
        """Do nothing: nobody else trains along."""

    def settle(self) -> None:
        """Do nothing: training is in the model's variables."""

    def close(self) -> None:
        """Do nothing: a program waits for the next trial."""

    def train(self, epoch: Epoch, done: int = 0) -> Chunk:
        """Train a chunk of an epoch, a cheap one whole, after the ``done`` steps that were trained of it."""
        data = self._tensors.of("train", self.compiled.labels)
        size = epoch.batch_size
        order = self._tensors.order(epoch)
        rows = order[done * size : (done + self._chunker.steps(size)) * size]
        began = time.perf_counter()
        metrics = self.program.train(data, rows, size, goes_on=done > 0)
        steps = -(-len(rows) // size)
        self._chunker.note(size, steps, time.perf_counter() - began)
        done += steps
        return Chunk(done, metrics if done * size >= len(order) else None)

    def accumulated(self) -> tuple[np.ndarray, ...]:
        """Return what metrics have accumulated by the middle of an epoch."""
        return arrays_of(self.compiled.model.metrics_variables)

    def go_on(self, accumulated: Sequence[np.ndarray]) -> None:
        """Give metrics what they had accumulated. Some of them exist only once the program is traced."""
        data = self._tensors.of("train", self.compiled.labels)
        # Over no rows: the program is traced, and nothing is trained.
        self.program.train(data, np.zeros(0, np.int32), 1)
        assign_all(self.compiled.model.metrics_variables, accumulated)

    def batches(self, seed: int, batch_size: int) -> Iterator[Any]:
        """Yield the indices of training rows in whole batches, without end."""
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


class CompiledEpoch:
    """A compiled model with its training, evaluation and recalibration loops, each traced once.

    The rows' order and the batch size are arguments, so a new batch size is free, and so are the data, so that one
    program serves every split. Losses, metrics, regularisers, BatchNormalization updates and a
    user's overridden ``train_step`` keep their exact Keras meaning, because the loop calls the model's own step.
    """

    def __init__(
        self,
        compiled: Compiled,
        data: tuple[Any, ...],
        asked_momentum: float,
        by_name: FiguresByName,
        stored: StoredPrograms | None = None,
    ) -> None:
        self.compiled = compiled
        self._stored = stored
        self._by_name = by_name
        self.model = compiled.model
        self.draws = UnseededDraws()
        self.batch_norm = LiveMomentum(self.model, asked_momentum)
        self._train_logs = StepLogs(self.model, "train_step")
        self._test_logs = StepLogs(self.model, "test_step")
        self._reset = MetricsReset(self.model)
        rows = _any_number_of(data)
        with scratch_gradients_forgotten():
            build_metrics(self.model, rows, have_variables=compiled.optimizer is not None)
        order, size = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)
        self._evaluations: dict[int, Any] = {}
        self._train = self._kept("train", self._epoch, [rows, order, size])
        self._recalibrate = self._kept("recalibrate", self._averages, [rows[0], order, size])

    def _evaluate(self, data: tuple[Any, ...]) -> Any:
        """Evaluate a split: the training rows alone may be weighted, so that there are up to two traces."""
        if len(data) not in self._evaluations:
            signature = [_any_number_of(data)]
            self._evaluations[len(data)] = self._kept("evaluate", self._evaluation, signature)
        return self._evaluations[len(data)](data)

    def _kept(self, name: str, function: Any, signature: Any) -> Any:
        """Return a program, which may have been traced by another worker or an earlier run."""
        program = tf.function(function, input_signature=signature, autograph=False)
        if self._stored is None:
            return program
        full_name = f"{name} {signature}"
        return KeptProgram(full_name, program, self._stored, self._variables, lambda: self.reusable)

    def _variables(self) -> dict[str, Any]:
        """Return all that a program that is kept reads or writes."""
        model, norm = self.model, self.batch_norm
        numbers = dict(enumerate((*norm.numbers, *norm.calls)))
        live = self.compiled.optimizer.numbers if self.compiled.optimizer else {}
        found = named("model", model.variables) | named("optimizer", model.optimizer.variables)
        found |= named("metric", model.metrics_variables)
        return found | {f"live {name}": each.held for name, each in (numbers | live).items()}

    @property
    def reusable(self) -> bool:
        """Return whether a further trial may have the program: its own draws from what it is given alone."""
        return not self.draws.seen

    def train(
        self, data: tuple[Any, ...], order: np.ndarray, batch_size: int, goes_on: bool = False
    ) -> dict[str, float]:
        """Train one epoch over the rows ``order``; return Keras's metrics. A last, partial batch counts as in ``fit``.

        ``data`` is (x, y) or (x, y, sample weights). ``goes_on``: the metrics are those of an epoch whose earlier
        batches were trained before.
        """
        if not goes_on:
            self._reset()
        return plain(self._train(data, tf.constant(order, tf.int32), tf.constant(batch_size)))

    def evaluate(self, data: tuple[Any, ...]) -> dict[str, float]:
        """Return Keras's metrics over all rows, at prediction's BatchNormalization averages."""
        self._reset()
        with self._by_name.listening():
            return plain(self._evaluate(data))

    def recalibrate(self, x: Any) -> None:
        """Replace the moving averages by the mean of batch statistics over up to 10,000 training rows."""
        if not self.batch_norm.layers:
            return
        order = tf.constant(recalibration_rows(int(tf.nest.flatten(x)[0].shape[0])), tf.int32)
        with self.batch_norm.recalibrating(self.model):
            self._recalibrate(x, order, tf.constant(RECALIBRATION_BATCH))

    def _epoch(self, data: Any, order: Any, size: Any) -> Any:
        def step(at: Any) -> Any:
            rows = order[at * size : (at + 1) * size]
            self._train_logs.note(self.model.train_step(_gathered(data, rows)))
            return at + 1

        with self.draws.watched():
            _count_to(-(-tf.size(order) // size), step, self.draws)
        return self._train_logs.results()

    def _evaluation(self, data: Any) -> Any:
        def step(at: Any) -> Any:
            rows = slice(at * EVALUATION_BATCH, (at + 1) * EVALUATION_BATCH)
            self._test_logs.note(self.model.test_step(rows_of(data, rows)))
            return at + 1

        self._by_name.reset()
        steps = -(-tf.shape(tf.nest.flatten(data)[0])[0] // EVALUATION_BATCH)
        with self.draws.watched():
            _count_to(steps, step, self.draws)
        return self._by_name.beside(self._test_logs.results())

    def _averages(self, x: Any, order: Any, size: Any) -> dict[str, Any]:
        def step(at: Any) -> Any:
            self.model(_gathered(x, order[at * size : (at + 1) * size]), training=True)
            return at + 1

        with self.batch_norm.counting_calls():
            _count_to(tf.maximum(1, tf.size(order) // size), step, self.draws)
        return {}  # no figure


def rows_of(data: Any, rows: slice) -> Any:
    """Return a slice of the rows of each tensor."""
    return tf.nest.map_structure(lambda tensor: tensor[rows], data)


def _gathered(data: Any, rows: Any) -> Any:
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), data)


def _count_to(steps: Any, body: Any, draws: UnseededDraws) -> None:
    def once(at: Any) -> Any:
        after = body(at)
        graph = tf.compat.v1.get_default_graph()
        draws.look_for_it_in(graph)
        forget_custom_gradients(graph)
        return (after,)

    with fast_channels():
        tf.while_loop(lambda at: at < steps, once, [tf.constant(0)], parallel_iterations=1)


def _any_number_of(data: tuple[Any, ...]) -> Any:
    """Return the shapes and types of a split's arrays, whatever its rows are."""
    return tf.nest.map_structure(lambda t: tf.TensorSpec((None, *t.shape[1:]), t.dtype), data)


class MetricsReset:
    """Resets a model's metrics: where that only sets variables, it sets them to what it left in them before."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._variables: list[Any] = []
        self._fresh: list[tuple[Any, Any]] | None = None

    def __call__(self) -> None:
        """Have the metrics as before the first batch."""
        variables = self._model.metrics_variables  # some exist only once a step has been traced
        if self._fresh is not None and list(map(id, variables)) == list(map(id, self._variables)):
            for handle, value in self._fresh:
                tf.raw_ops.AssignVariableOp(resource=handle, value=value)
            return
        self._model.reset_metrics()
        self._variables, self._fresh = variables, None
        if resets_variables_alone(self._model):
            held = [variable.value for variable in variables]
            self._fresh = [(each.handle, tf.identity(each)) for each in held]


class StepLogs:
    """The figures of an epoch: Keras's metrics, or what a user's own step returned last where that is something else.

    ``fit`` tells the two apart by their names (``Trainer._get_metrics_result_or_logs``). No tensor leaves the loop
    in which a step runs, so what it returns is put into variables.
    """

    def __init__(self, model: Any, step: Literal["train_step", "test_step"]) -> None:
        self._model = model
        self._overridden = getattr(type(model), step) is not getattr(keras.Model, step)
        self._own: dict[str, Any] = {}

    def note(self, logs: Any) -> None:
        """Take in what a step returns, while it is traced."""
        if not self._overridden or not isinstance(logs, dict):
            return
        logs = _flat(logs)
        if compiled_metrics_are_built(self._model) and set(logs) == set(
            self._model.get_metrics_result()
        ):
            return
        for name, value in logs.items():
            number = tf.cast(tf.convert_to_tensor(value), tf.float32)
            if number.shape.rank == 0:
                self._variable(name).assign(number)

    def results(self) -> dict[str, Any]:
        """Return the epoch's figures by name."""
        if self._own:
            return {name: variable.read_value() for name, variable in self._own.items()}
        return dict(self._model.get_metrics_result())

    def _variable(self, name: str) -> Any:
        if name not in self._own:
            with tf.init_scope():
                self._own[name] = tf.Variable(0.0, trainable=False)
        return self._own[name]


def _flat(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Return logs as ``fit`` has them: what holds several figures, as ``compile_metrics``, by their own names."""
    flat: dict[str, Any] = {}
    for name, value in logs.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return flat
