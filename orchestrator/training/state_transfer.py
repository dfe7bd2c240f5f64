"""A model's state carried into another model of the same weights, the state of every optimizer it uses included.

Beside the one it is compiled with, a model may hold optimizers that a step of its own uses: GANs for one. Keras builds
them when the step first applies them, on variables that only the step knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from orchestrator.catalog import is_users_own
from orchestrator.errors import TrialError
from orchestrator.training.keras_internals import built_on, layers_of
from orchestrator.training.optimizers import rate_variable, unwrapped
from orchestrator.training.trial_model import Compiled, arrays_of, assign_all, fits


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
        if type(optimizer).__name__ == self.optimizer_kind and fits(slots, self.optimizer):
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

    ``built_on`` says which did; None where that is unknown.
    """
    others = zip(compiled.others, built_on or (), strict=False)
    stepped = [optimizer for optimizer, on in others if on is not None]
    return [*keras_optimizer(compiled).variables, *variables_of(stepped)]


BuiltOn = Sequence[int] | None
"""The variables of its model that an optimizer is built on, by their numbers; None where it is not built."""


def other_optimizers(model: Any) -> tuple[Any, ...]:
    """Return the optimizers in the attributes of a model and its layers, each once, without the compiled one."""
    compiled = getattr(model, "optimizer", None)
    seen = {id(compiled), id(unwrapped(compiled))}
    inside = vars(compiled) if isinstance(compiled, keras.optimizers.Optimizer) else {}
    parts = [part for layer in (model, *layers_of(model)) for part in vars(layer).values()]
    return tuple(_held([*inside.values(), *parts], seen))


def _held(values: Any, seen: set[int]) -> Iterator[Any]:
    for value in values:
        inside = _inside(value)
        if inside is None or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, keras.optimizers.Optimizer):
            seen.add(id(unwrapped(value)))
            yield value
        yield from _held(inside, seen)


def _inside(value: Any) -> Any:
    """Return the parts of a value among which there may be an optimizer, None for what has none."""
    match value:
        case Mapping():
            return value.values()
        case list() | tuple() | set():
            return value
        case keras.layers.Layer() | type():
            return None
        case keras.optimizers.Optimizer():
            return vars(value).values()
    if is_users_own(type(value)) and hasattr(value, "__dict__"):
        return vars(value).values()
    return None


def variables_of(optimizers: Sequence[Any]) -> list[Any]:
    """Return the variables of optimizers, each once; of one that is not built there is nothing to know."""
    optimizers = [optimizer for optimizer in optimizers if optimizer.built]
    return list({id(v): v for optimizer in optimizers for v in optimizer.variables}.values())


def _built_on(model: Any, optimizer: Any) -> BuiltOn:
    """Return what an optimizer is built on. Raises KeyError where that is not among its model's variables."""
    inner = unwrapped(optimizer)
    if not inner.built:
        return None
    numbers = {id(variable): number for number, variable in enumerate(model.variables)}
    return [numbers[id(variable)] for variable in built_on(inner)]


def all_built_on(model: Any, optimizers: Sequence[Any]) -> list[BuiltOn] | None:
    """Return what each optimizer is built on, None where one is built on what is no variable of its model."""
    try:
        return [_built_on(model, optimizer) for optimizer in optimizers]
    except KeyError:
        return None


def build_all_on(model: Any, optimizers: Sequence[Any], numbers: Sequence[BuiltOn]) -> None:
    """Build optimizers as they were built before; one that was not yet gets the state of one that took no step."""
    for optimizer, on in zip(optimizers, numbers, strict=True):
        if on is None and optimizer.built:
            _forget_steps(optimizer)
        elif on is not None and not optimizer.built:
            optimizer.build([model.variables[number] for number in on])


def have_as_fresh(model: Any, optimizers: Sequence[Any], fresh_model: Any) -> bool:
    """Put the state of a fresh model's optimizers into those of a warm one; return whether it is known how.

    ``optimizers`` are the other optimizers of ``model``.
    """
    found = other_optimizers(fresh_model)
    numbers = all_built_on(model, optimizers)
    if len(found) != len(optimizers) or numbers is None:
        return False
    build_all_on(fresh_model, found, numbers)
    there, values = variables_of(optimizers), arrays_of(variables_of(found))
    if not fits(there, values):
        return False
    assign_all(there, values)
    return True


def _forget_steps(optimizer: Any) -> None:
    fresh = type(optimizer).from_config(optimizer.get_config())
    fresh.build(built_on(unwrapped(optimizer)))
    assign_all(optimizer.variables, arrays_of(fresh.variables))
