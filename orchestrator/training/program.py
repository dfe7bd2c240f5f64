"""The compiled epoch: one TensorFlow program loops over an epoch's batches around the model's own ``train_step``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from orchestrator.training.batch_norm import RECALIBRATION_BATCH, LiveMomentum, recalibration_rows
from orchestrator.training.custom_gradients import forget_custom_gradients
from orchestrator.training.drawing import Drawing
from orchestrator.training.step_logs import StepLogs
from orchestrator.training.validation_metrics import ValidationMetrics

if TYPE_CHECKING:
    from orchestrator.training.compiling import Compiled

EVALUATION_BATCH = 1024


class Program:
    """A compiled model with its training, evaluation and recalibration loops, each traced once.

    The rows' order and the batch size are arguments, so a new batch size is free, and so are the data, so that one
    program serves every split. Losses, metrics, regularisers, BatchNormalization updates and a
    user's overridden ``train_step`` keep their exact Keras meaning, because that is the step which is looped.
    """

    def __init__(
        self,
        compiled: Compiled,
        data: tuple[Any, ...],
        asked_momentum: float,
        by_name: ValidationMetrics,
    ) -> None:
        self.compiled = compiled
        self._by_name = by_name
        self.model = compiled.model
        self.drawing = Drawing()
        self.batch_norm = LiveMomentum(self.model, asked_momentum)
        self._train_logs = StepLogs(self.model, "train_step")
        self._test_logs = StepLogs(self.model, "test_step")
        rows = _any_number_of(data)
        order, size = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)
        self._evaluations: dict[int, Any] = {}
        self._train = tf.function(self._epoch, input_signature=[rows, order, size], autograph=False)
        self._recalibrate = tf.function(
            self._averages, input_signature=[rows[0], order, size], autograph=False
        )

    def _evaluate(self, data: tuple[Any, ...]) -> Any:
        """Evaluate a split: the training rows alone may be weighted, so that there are up to two traces."""
        if len(data) not in self._evaluations:
            self._evaluations[len(data)] = tf.function(
                self._evaluation, input_signature=[_any_number_of(data)], autograph=False
            )
        return self._evaluations[len(data)](data)

    @property
    def reusable(self) -> bool:
        """Return whether a further trial may have the program: its own draws from what it is given alone."""
        return not self.drawing.seen

    def train(
        self, data: tuple[Any, ...], order: np.ndarray, batch_size: int, goes_on: bool = False
    ) -> dict[str, float]:
        """Train one epoch over the rows ``order``; return Keras's metrics. A last, partial batch counts as in ``fit``.

        ``data`` is (x, y) or (x, y, sample weights). ``goes_on``: the metrics are those of an epoch whose earlier
        batches were trained before.
        """
        if not goes_on:
            self.model.reset_metrics()
        return plain(self._train(data, tf.constant(order, tf.int32), tf.constant(batch_size)))

    def evaluate(self, data: tuple[Any, ...]) -> dict[str, float]:
        """Return Keras's metrics over all rows, at prediction's BatchNormalization averages."""
        self.model.reset_metrics()
        with self._by_name.listening():
            return plain(self._evaluate(data))

    def recalibrate(self, x: Any) -> None:
        """Replace the moving averages by the mean of batch statistics over up to 10,000 training rows."""
        if not self.batch_norm.layers:
            return
        averages = self.batch_norm.averages
        state = self.model.non_trainable_variables
        kept = list(zip(state, arrays_of(state), strict=True))
        order = tf.constant(recalibration_rows(int(tf.nest.flatten(x)[0].shape[0])), tf.int32)
        self._recalibrate(x, order, tf.constant(RECALIBRATION_BATCH))
        self.batch_norm.restore()
        replaced = {id(variable) for variable in averages}
        for variable, value in kept:
            if id(variable) not in replaced:
                variable.assign(value)

    def _epoch(self, data: Any, order: Any, size: Any) -> Any:
        def step(at: Any) -> Any:
            rows = order[at * size : (at + 1) * size]
            self._train_logs.note(self.model.train_step(_gathered(data, rows)))
            return at + 1

        with self.drawing.watched():
            _count_to(-(-tf.size(order) // size), step, self.drawing)
        return self._train_logs.results()

    def _evaluation(self, data: Any) -> Any:
        def step(at: Any) -> Any:
            rows = slice(at * EVALUATION_BATCH, (at + 1) * EVALUATION_BATCH)
            self._test_logs.note(self.model.test_step(rows_of(data, rows)))
            return at + 1

        self._by_name.reset()
        steps = -(-tf.shape(tf.nest.flatten(data)[0])[0] // EVALUATION_BATCH)
        with self.drawing.watched():
            _count_to(steps, step, self.drawing)
        return self._by_name.beside(self._test_logs.results())

    def _averages(self, x: Any, order: Any, size: Any) -> None:
        def step(at: Any) -> Any:
            self.model(_gathered(x, order[at * size : (at + 1) * size]), training=True)
            return at + 1

        with self.batch_norm.counting_calls():
            _count_to(tf.maximum(1, tf.size(order) // size), step, self.drawing)


def rows_of(data: Any, rows: slice) -> Any:
    """Return a slice of the rows of each tensor."""
    return tf.nest.map_structure(lambda tensor: tensor[rows], data)


def _gathered(data: Any, rows: Any) -> Any:
    return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), data)


def _count_to(steps: Any, body: Any, drawing: Drawing) -> None:
    def once(at: Any) -> Any:
        after = body(at)
        graph = tf.compat.v1.get_default_graph()
        drawing.look_for_it_in(graph)
        forget_custom_gradients(graph)
        return (after,)

    tf.while_loop(lambda at: at < steps, once, [tf.constant(0)], parallel_iterations=1)


def plain(results: Any) -> dict[str, float]:
    """Return metric tensors, nested as Keras nests those of several outputs, as flat numbers."""
    flat: dict[str, float] = {}
    for name, value in results.items():
        if isinstance(value, dict):
            flat |= {f"{name}_{inner}": number for inner, number in plain(value).items()}
        elif np.ndim(value) == 0:
            flat[name] = float(value)
    return flat


def arrays_of(variables: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """Return copies of the variables' values."""
    return tuple(tf.convert_to_tensor(variable).numpy() for variable in variables)


def assign_all(variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Give each variable its value. Raises ValueError where the shapes do not match one to one."""
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def fits(variables: Sequence[Any], values: Sequence[Any]) -> bool:
    """Return whether ``assign_all`` could do it: a fit of the user's own may have replaced the optimizer."""
    return [tuple(variable.shape) for variable in variables] == [np.shape(v) for v in values]


def _any_number_of(data: tuple[Any, ...]) -> Any:
    """Return the shapes and types of a split's arrays, whatever its rows are."""
    return tf.nest.map_structure(lambda t: tf.TensorSpec((None, *t.shape[1:]), t.dtype), data)
