"""Optimizers that a model holds beside the one it is compiled with, as a step of its own uses them: GANs for one.

Keras builds them when the step first applies them, on variables that only the step knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from orchestrator.catalog import is_users_own
from orchestrator.training.batch_norm import layers_of
from orchestrator.training.program import arrays_of, assign_all, fits
from orchestrator.training.rates import unwrapped

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
    return [numbers[id(variable)] for variable in inner._trainable_variables]


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
    fresh.build(list(unwrapped(optimizer)._trainable_variables))
    assign_all(optimizer.variables, arrays_of(fresh.variables))
