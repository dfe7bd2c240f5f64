"""The learning rate of an optimizer, whoever made it: where it lives, or why it cannot be set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

if TYPE_CHECKING:
    from orchestrator.training.compiling import Built

RATE_NAMES = frozenset({"learning_rate", "learning_rate_decay", "decay_schedule"})
"""What training reads to set α."""

_PLAIN = ("learning_rate", "_get_current_learning_rate")


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
    rate = inner._learning_rate
    if not isinstance(rate, keras.Variable):
        return f"{kind}'s learning rate is a {type(rate).__name__}"
    own = [name for name in _PLAIN if _of(type(inner), name) is not _of(_KERAS, name)]
    if own or _holds_optimizers(inner):
        return f"the optimizer, {kind}, has a learning rate of its own kind"
    return None


def rate_variable(optimizer: Any) -> Any:
    """Return the variable that α lives in, None where it cannot be set."""
    return None if why_no_rate(optimizer) else unwrapped(optimizer)._learning_rate


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
    def of(cls, built: Built, given: Mapping[str, Any]) -> Rate:
        """Return the learning rate of a model fresh from its builder."""
        if not built.compiled_by_user:
            return cls()
        optimizer = built.model.optimizer
        reason = why_no_rate(optimizer)
        if reason is not None:
            return cls(driven=False, why_none=reason)
        own = rate_of(rate_variable(optimizer))
        by_builder = "learning_rate" in built.reads
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
