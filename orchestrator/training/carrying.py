"""A model's state carried into another model of the same weights: what a change of hyperparameters keeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.errors import TrialError
from orchestrator.training.compiling import Compiled
from orchestrator.training.other_optimizers import (
    BuiltOn,
    all_built_on,
    build_all_on,
    variables_of,
)
from orchestrator.training.program import arrays_of, assign_all, fits
from orchestrator.training.rates import rate_variable


@dataclass(frozen=True)
class CarriedState:
    """Weights and averages, random-generator states, and optimizer slots by the optimizer's kind."""

    weights: tuple[np.ndarray, ...]
    seeds: tuple[np.ndarray, ...]
    optimizer: tuple[np.ndarray, ...]
    optimizer_kind: str
    others: tuple[np.ndarray, ...] = ()
    others_built_on: Sequence[BuiltOn] | None = None

    def put_into(self, compiled: Compiled) -> None:
        """Give this state to a model; slots only where the optimizer is of the same kind."""
        assign_all(compiled.model.weights, self.weights)
        seeds = seed_states(compiled.model)
        if len(seeds) == len(self.seeds):
            assign_all(seeds, self.seeds)
        optimizer = keras_optimizer(compiled)
        slots = slots_of(optimizer)
        shapes = [tuple(variable.shape) for variable in slots]
        if type(optimizer).__name__ == self.optimizer_kind and shapes == [
            a.shape for a in self.optimizer
        ]:
            assign_all(slots, self.optimizer)
        others = compiled.others
        if self.others_built_on and len(others) == len(self.others_built_on):
            build_all_on(compiled.model, others, self.others_built_on)
            slots = [slot for optimizer in others for slot in slots_of(optimizer)]
            if fits(slots, self.others):
                assign_all(slots, self.others)


def carried_state(compiled: Compiled) -> CarriedState:
    """Return a copy of a model's state."""
    optimizer = keras_optimizer(compiled)
    return CarriedState(
        arrays_of(compiled.model.weights),
        arrays_of(seed_states(compiled.model)),
        arrays_of(slots_of(optimizer)),
        type(optimizer).__name__,
        arrays_of([slot for other in compiled.others for slot in slots_of(other)]),
        all_built_on(compiled.model, compiled.others),
    )


def slots_of(optimizer: Any) -> list[Any]:
    """Return an optimizer's step counter and slots, but not its learning rate: that may be what changes."""
    rate = rate_variable(optimizer)
    return [variable for variable in optimizer.variables if variable is not rate]


def check_same_weights(before: Any, after: Any, changed: Iterable[str]) -> None:
    """Raise TrialError, naming the first layer that differs, unless two models have the same weights."""
    old, new = shapes_of(before), shapes_of(after)
    if [shape for _, shape in old] == [shape for _, shape in new]:
        return
    what = _difference(dict(old), dict(new))
    raise TrialError(
        f"{', '.join(changed)}: expected a change that keeps the weights' shapes. Received: one that {what}."
        " Start a new panda for it."
    )


def _difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """Return what happens to the first weight, by its path, that is not the same."""
    for path, shape in old.items():
        if path in new and new[path] != shape:
            return f"makes {path} {new[path]} instead of {shape}"
    for path, shape in new.items():
        if path not in old:
            return f"adds {path} {shape}"
    path = next(path for path in old if path not in new)
    return f"drops {path} {old[path]}"


def shapes_of(model: Any) -> list[tuple[str, tuple[int, ...]]]:
    """Return each weight's path and shape."""
    return [(weight.path, tuple(weight.shape)) for weight in model.weights]


def seed_states(model: Any) -> list[Any]:
    """Return the states of a model's random generators."""
    weights = {id(weight) for weight in model.weights}
    metrics = {id(variable) for metric in model.metrics for variable in metric.variables}
    return [v for v in model.variables if id(v) not in weights and id(v) not in metrics]


def keras_optimizer(compiled: Compiled) -> Any:
    """Return the optimizer, ours or the user's, with what Keras wraps around it in mixed precision."""
    return compiled.model.optimizer


def finalise(compiled: Compiled) -> None:
    """Do to the weights what ``fit`` does once at its end: an optimizer's averages of them take their place."""
    optimizer = keras_optimizer(compiled)
    type(optimizer).finalize_variable_values(optimizer, compiled.model.trainable_weights)


def optimizer_variables(compiled: Compiled, built_on: Sequence[BuiltOn] | None) -> list[Any]:
    """Return the variables of a model's optimizers: the compiled one's, then those of others that took a step by then.

    ``built_on`` says which did; None where that cannot be told.
    """
    others = zip(compiled.others, built_on or (), strict=False)
    stepped = [optimizer for optimizer, on in others if on is not None]
    return [*keras_optimizer(compiled).variables, *variables_of(stepped)]
