"""Optimizers whose hyperparameters live in variables: a new value needs no new trace.

Keras 3's SGD and RMSprop branch on ``self.momentum`` in Python, so theirs is always applied here: with a momentum of 0
the numbers are those of the branch without. Adam casts its betas, so variables serve as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from orchestrator.errors import TrialError, explain
from orchestrator.training.hyperparameters import ADAMW_WEIGHT_DECAY, DEFAULTS, OPTIMIZER_READS

KERAS_NAMES = {"momentum": "momentum", "beta_1": "beta_1", "beta_2": "beta_2", "epsilon": "epsilon"}


def _live(value: float) -> Any:
    """Return a variable outside the optimizer's own list, so that slots and hyperparameters stay apart."""
    return tf.Variable(float(value), trainable=False, dtype=tf.float32)


class LiveSGD(keras.optimizers.SGD):  # type: ignore[misc]
    """SGD with momentum in a variable: m ← βm - αg, w ← w + m."""

    def build(self, variables: list[Any]) -> None:
        """Create the momentum slots whatever the momentum is."""
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        rate = ops.cast(learning_rate, variable.dtype)
        step = ops.multiply(ops.cast(gradient, variable.dtype), rate)
        slot = self.momentums[self._get_variable_index(variable)]
        kept = ops.multiply(slot, ops.cast(self.momentum, variable.dtype))
        self.assign(slot, ops.subtract(kept, step))
        self.assign_add(variable, slot)


class LiveRMSprop(keras.optimizers.RMSprop):  # type: ignore[misc]
    """RMSprop with momentum in a variable."""

    def build(self, variables: list[Any]) -> None:
        """Create both kinds of slots whatever the momentum is."""
        if self.built:
            return
        keras.optimizers.Optimizer.build(self, variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        gradient = ops.cast(gradient, variable.dtype)
        index = self._get_variable_index(variable)
        velocity, momentum = self._velocities[index], self._momentums[index]
        squared = ops.multiply(1 - self.rho, ops.square(gradient))
        self.assign(velocity, ops.add(ops.multiply(self.rho, velocity), squared))
        rate = ops.cast(learning_rate, variable.dtype)
        step = ops.divide(ops.multiply(rate, gradient), ops.sqrt(ops.add(velocity, self.epsilon)))
        self.assign(momentum, ops.add(ops.multiply(self.momentum, momentum), step))
        self.assign_sub(variable, momentum)


_LIVE = {
    "sgd": LiveSGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.Adam,
    "rmsprop": LiveRMSprop,
}
_STOCK = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
}


def decays_weights(hyperparameters: Mapping[str, Any]) -> bool:
    """Return whether weights decay at all: it changes the traced graph, its strength does not."""
    asked = hyperparameters.get("weight_decay") is not None
    return asked or str(hyperparameters["optimizer"]).lower() == "adamw"


def weight_decay_of(hyperparameters: Mapping[str, Any]) -> float:
    """Return the decoupled weight decay: what is asked for, or Keras's default for AdamW."""
    asked = hyperparameters.get("weight_decay")
    return ADAMW_WEIGHT_DECAY if asked is None else float(asked)


class LiveOptimizer:
    """A Keras optimizer and the variables its hyperparameters live in."""

    def __init__(self, hyperparameters: Mapping[str, Any]) -> None:
        name = known_optimizer(hyperparameters)
        self.keras = _LIVE[name](learning_rate=float(hyperparameters["learning_rate"]))
        self.variables: dict[str, Any] = {}
        for key in OPTIMIZER_READS[name]:
            self.variables[key] = _live(_value(hyperparameters, key))
            attribute = "rho" if name == "rmsprop" and key == "beta_2" else key
            setattr(self.keras, attribute, self.variables[key])
        if decays_weights(hyperparameters):
            self.variables["weight_decay"] = _live(weight_decay_of(hyperparameters))
            self.keras.weight_decay = self.variables["weight_decay"]

    def set(self, hyperparameters: Mapping[str, Any]) -> None:
        """Put every live hyperparameter but the learning rate in force."""
        for key, variable in self.variables.items():
            value = (
                weight_decay_of(hyperparameters)
                if key == "weight_decay"
                else _value(hyperparameters, key)
            )
            variable.assign(value)

    def clear(self, outermost: Any) -> None:
        """Zero the slots and the step counter; put back what Keras scales the loss by in mixed precision."""
        for variable in outermost.variables:
            if variable is not self.keras._learning_rate:
                variable.assign(ops.zeros_like(variable))
        if isinstance(outermost, keras.optimizers.LossScaleOptimizer):
            outermost.dynamic_scale.assign(outermost.initial_scale)


def on_one_replica(optimizer: Any) -> None:
    """Let an optimizer take gradients as they are, since there is one replica to sum them over.

    TensorFlow's ``all_reduce`` is a custom gradient, and each of those keeps its whole graph alive for ever in a
    registry: 2 MB and more for every program that is dropped.
    """
    object.__setattr__(optimizer, "_all_reduce_sum_gradients", lambda gradients: gradients)
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:
        on_one_replica(inner)


def stock_optimizer(hyperparameters: Mapping[str, Any]) -> Any:
    """Return Keras's own optimizer with the same hyperparameters, for a file that plain Keras loads."""
    name = known_optimizer(hyperparameters)
    arguments = {key: _value(hyperparameters, key) for key in OPTIMIZER_READS[name]}
    if name == "rmsprop":
        arguments["rho"] = arguments.pop("beta_2")
    if decays_weights(hyperparameters):
        arguments["weight_decay"] = weight_decay_of(hyperparameters)
    return _STOCK[name](learning_rate=float(hyperparameters["learning_rate"]), **arguments)


def known_optimizer(hyperparameters: Mapping[str, Any]) -> str:
    """Return the optimizer's name. Raises TrialError for one that is not known."""
    name = str(hyperparameters["optimizer"]).lower()
    if name not in _LIVE:
        raise TrialError(explain("optimizer", "expected a known optimizer", name, _LIVE))
    return name


def _value(hyperparameters: Mapping[str, Any], key: str) -> float:
    value = hyperparameters.get(key)
    return float(DEFAULTS[key] if value is None else value)
