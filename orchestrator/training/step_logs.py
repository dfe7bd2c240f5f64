"""What a model's step says of an epoch, as ``fit`` reports it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras
import tensorflow as tf


class StepLogs:
    """Keras's metrics; or what a user's own step returned last, where that is something else.

    ``fit`` tells the two apart by their names (``Trainer._get_metrics_result_or_logs``). No tensor leaves the loop
    in which a step runs, so what it returns is put into variables.
    """

    def __init__(self, model: Any, step: Literal["train_step", "test_step"]) -> None:
        self._model = model
        self._overridden = getattr(type(model), step) is not getattr(keras.Model, step)
        self._own: dict[str, Any] = {}

    def note(self, logs: Any) -> None:
        """Hear what a step returns, while it is traced."""
        if not self._overridden or not isinstance(logs, dict):
            return
        logs = _flat(logs)
        if _are_built(self._model) and set(logs) == set(self._model.get_metrics_result()):
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


def _are_built(model: Any) -> bool:
    """Return whether compiled metrics were updated by the step: else they have no results."""
    compiled = getattr(model, "_compile_metrics", None)
    return compiled is None or compiled.built


def _flat(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Return logs as ``fit`` has them: what holds several figures, as ``compile_metrics``, by their own names."""
    flat: dict[str, Any] = {}
    for name, value in logs.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return flat
