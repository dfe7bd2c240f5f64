"""Optimizers whose hyperparameters live in variables, so that a new value needs no new trace; and α of any optimizer.

Keras 3's SGD and RMSprop branch on ``self.momentum`` in Python, so theirs is always applied here: with a momentum of 0
the numbers are those of the branch without. Adam casts its betas, so variables serve as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from orchestrator.errors import TrialError, explain
from orchestrator.training.hyperparameters import ADAMW_WEIGHT_DECAY, DEFAULTS, OPTIMIZER_READS
from orchestrator.training.keras_backend import IS_TENSORFLOW, LiveNumber, is_tensorflow_on_a_cpu
from orchestrator.training.keras_internals import CURRENT_RATE, rate_held_by

if IS_TENSORFLOW:
    import tensorflow as tf


def fits_one_operation(gradient: Any, variable: Any) -> bool:
    """Return whether TensorFlow has all of a variable's step in one operation, which computes what several would."""
    if not is_tensorflow_on_a_cpu() or not isinstance(gradient, tf.Tensor):
        return False
    return bool(gradient.dtype == tf.float32 and variable.dtype == "float32")


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


class LiveAdam(keras.optimizers.Adam):  # type: ignore[misc]
    """Adam with its betas and ε in variables, each variable moved by one operation where there is one."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Move one variable."""
        if not fits_one_operation(gradient, variable):
            super().update_step(gradient, variable, learning_rate)
            return
        index, steps = self._get_variable_index(variable), ops.cast(self.iterations + 1, "float32")
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].handle,
            v=self._velocities[index].handle,
            beta1_power=ops.power(self.beta_1, steps),
            beta2_power=ops.power(self.beta_2, steps),
            lr=ops.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


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


_LIVE: dict[str, Any] = {
    "sgd": LiveSGD,
    "adam": LiveAdam,
    "adamw": LiveAdam,
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
    """A Keras optimizer and the live numbers that its hyperparameters are, apart from its slots."""

    def __init__(self, hyperparameters: Mapping[str, Any]) -> None:
        name = known_optimizer(hyperparameters)
        self.keras = _LIVE[name](learning_rate=float(hyperparameters["learning_rate"]))
        self.numbers: dict[str, LiveNumber] = {}
        for key in OPTIMIZER_READS[name]:
            attribute = "rho" if name == "rmsprop" and key == "beta_2" else key
            self.numbers[key] = LiveNumber(_value(hyperparameters, key), self.keras, attribute)
        if decays_weights(hyperparameters):
            decay = weight_decay_of(hyperparameters)
            self.numbers["weight_decay"] = LiveNumber(decay, self.keras, "weight_decay")

    def set(self, hyperparameters: Mapping[str, Any]) -> None:
        """Put every live hyperparameter but the learning rate in force."""
        for key, number in self.numbers.items():
            value = (
                weight_decay_of(hyperparameters)
                if key == "weight_decay"
                else _value(hyperparameters, key)
            )
            number.assign(value)

    def clear(self, outermost: Any) -> None:
        """Zero the slots and the step counter; put back what Keras scales the loss by in mixed precision."""
        for variable in outermost.variables:
            if variable is not rate_held_by(self.keras):
                variable.assign(ops.zeros(variable.shape, variable.dtype))
        if isinstance(outermost, keras.optimizers.LossScaleOptimizer):
            outermost.dynamic_scale.assign(outermost.initial_scale)


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


_PLAIN = ("learning_rate", CURRENT_RATE)


def unwrapped(optimizer: Any) -> Any:
    """Return the optimizer inside those that only scale the loss."""
    while isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        optimizer = optimizer.inner_optimizer
    return optimizer


def why_no_rate(optimizer: Any) -> str | None:
    """Return why an optimizer's α cannot be set, None where it is a plain variable that all its steps use."""
    inner = unwrapped(optimizer)
    kind = type(inner).__name__
    if not isinstance(inner, keras.optimizers.Optimizer):
        return f"the optimizer, {kind}, is none of Keras's kind"
    rate = rate_held_by(inner)
    if not isinstance(rate, keras.Variable):
        return f"{kind}'s learning rate is a {type(rate).__name__}"
    own = [name for name in _PLAIN if _of(type(inner), name) is not _of(_KERAS, name)]
    if own or _holds_optimizers(inner):
        return f"the optimizer, {kind}, has a learning rate of its own kind"
    return None


def rate_variable(optimizer: Any) -> Any:
    """Return the variable that α lives in, None where it cannot be set."""
    return None if why_no_rate(optimizer) else rate_held_by(unwrapped(optimizer))


def rate_of(variable: Any) -> float:
    """Return α as somebody would write it: the shortest number that the variable's precision cannot tell from it."""
    return float(str(np.float32(float(variable))))


_KERAS = keras.optimizers.Optimizer


def _of(kind: type, name: str) -> Any:
    return getattr(kind, name, None)


def _holds_optimizers(optimizer: Any) -> bool:
    """Return whether an optimizer only directs others."""
    for value in vars(optimizer).values():
        held = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(each, _KERAS) for each in held):
            return True
    return False


@dataclass
class Rate:
    """The learning rate of one model.

    ``own`` is the α that the model's builder compiled it with, None where training compiles it; ``by_builder``: the
    builder read the trial's and made its own of it; ``why_none``: why it cannot be set. ``in_force`` is what training
    set last: it sets α only where its plan changes, so that what a callback sets stays.
    """

    own: float | None = None
    by_builder: bool = False
    driven: bool = True
    why_none: str | None = None
    in_force: float | None = None

    @classmethod
    def of(cls, optimizer: Any, reads: Collection[str], given: Mapping[str, Any]) -> Rate:
        """Return the learning rate of the optimizer of a model's builder, which read ``reads``."""
        reason = why_no_rate(optimizer)
        if reason is not None:
            return cls(driven=False, why_none=reason)
        own = rate_of(rate_variable(optimizer))
        by_builder = "learning_rate" in reads
        given_here = "learning_rate" in given and not by_builder
        driven = given_here or bool(given.get("learning_rate_decay"))
        return cls(own, by_builder, driven, in_force=own)

    def start(self, hyperparameters: Mapping[str, Any]) -> float:
        """Return the α that a schedule starts from."""
        if self.own is not None and self.by_builder:
            return self.own
        return float(hyperparameters["learning_rate"])

    def put_in_force(self, planned: float | None, optimizer: Any) -> None:
        """Set α where the plan has another one than before."""
        variable = rate_variable(optimizer)  # a fit may have put another optimizer in its place
        if planned is not None and planned != self.in_force and variable is not None:
            variable.assign(planned)
            self.in_force = planned

    def changed(self) -> None:
        """Take note that somebody asked for another α: the plan is put in force whatever there is now."""
        self.in_force, self.driven = None, True

    def go_on_from(self, before: Rate, there: float | None, optimizer: Any) -> None:
        """Keep the α of the model that this one takes over from, where something else than training had set it."""
        set_by_other = before.in_force is not None and rate_of(before.in_force) != there
        variable = rate_variable(optimizer)
        if set_by_other and there is not None and self.own == before.own and variable is not None:
            variable.assign(there)
            self.in_force = before.in_force

    def shown(self, planned: float | None, optimizer: Any) -> float | None:
        """Return the α that an epoch was trained at, None where it is the builder's own affair."""
        variable = rate_variable(optimizer)
        if planned is None or not self.driven or variable is None:
            return None
        there = rate_of(variable)
        return planned if rate_of(planned) == there else there
