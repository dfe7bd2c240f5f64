"""A trial's model as its builder made it and as it is compiled, and the values of variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from orchestrator.training.keras_backend import LiveNumber, array_of, assign
from orchestrator.training.optimizers import LiveOptimizer
from orchestrator.training.task import LabelForm, LearningGoal

Stamps = Mapping[str, tuple[int, int] | None]
"""Files as they were: when each was changed last, in nanoseconds, and its bytes; None of one that is not there."""
RowLoss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Origin:
    """A build that left no trace but its model: ``seeds`` of Keras's were drawn, ``initialisers`` are by ``id``.

    ``names`` and ``registered`` are what Keras has noted by its end, ``files`` what it read. ``given`` are the names
    that the trial was given, ``reads`` what the builder read: it does the same again for whoever is given the same.
    """

    seeds: tuple[int, ...]
    initialisers: Mapping[int, Any]
    names: Mapping[str, int]
    registered: Mapping[Any, str]
    files: Stamps
    given: Collection[str] = ()
    reads: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """A model fresh from its builder and what its structure depends on."""

    model: Any
    reads: Mapping[str, Any]
    compiled_by_user: bool
    asked_momentum: float
    constants: str | None = ""
    """What the model holds besides variables, equal for equal ones: "" for a bundled one, None where unknown."""
    by_keras: bool = True
    """Whether no code of the model is the user's: then it computes what Keras makes of what it holds."""
    origin: Origin | None = None
    """How its variables got their values; None where they cannot be had again without the builder."""


@dataclass(frozen=True)
class Compiled:
    """A compiled model; ``optimizer`` is None where the user's builder compiled it.

    ``goal`` is what it learns, ``labels`` the form of labels that its loss takes, ``row_loss`` what that says of each
    row, None where unknown.
    ``others`` are the optimizers that a step of the model's own uses beside the compiled one; ``smoothing`` is what
    smooths the labels, where that is live.
    """

    model: Any
    optimizer: LiveOptimizer | None
    goal: LearningGoal
    labels: LabelForm
    row_loss: RowLoss | None = None
    others: tuple[Any, ...] = ()
    smoothing: LiveNumber | None = None

    @property
    def parameters(self) -> int:
        """Return the model's parameter count."""
        return int(self.model.count_params())


def arrays_of(variables: Sequence[Any]) -> tuple[np.ndarray, ...]:
    """Return copies of the variables' values."""
    return tuple(array_of(variable) for variable in variables)


def assign_all(variables: Sequence[Any], values: Sequence[Any]) -> None:
    """Give each variable its value. Raises ValueError where the shapes do not match one to one."""
    for variable, value in zip(variables, values, strict=True):
        assign(variable, value)


def fits(variables: Sequence[Any], values: Sequence[Any]) -> bool:
    """Return whether ``assign_all`` could do it: a fit of the user's own may have replaced the optimizer."""
    return [tuple(variable.shape) for variable in variables] == [np.shape(v) for v in values]


@contextmanager
def kept(variables: Sequence[Any]) -> Iterator[None]:
    """Put variables back as they were: a layer may draw, or count, at inference too."""
    before = arrays_of(variables)
    try:
        yield
    finally:
        assign_all(variables, before)


MOST_LAYERS = 300


def model_summary(model: Any) -> dict[str, Any]:
    """Return {layers, parameters, trainable}: of each layer its name, kind, output shape and both counts.

    Layers of a model within it stand in its place, ``outer/inner``. Shapes are without the rows; None where a layer
    tells none.
    """
    layers = list(_layers(model))
    return {
        "layers": layers[:MOST_LAYERS],
        "left_out": max(0, len(layers) - MOST_LAYERS),
        "parameters": int(model.count_params()),
        "trainable": _count(model.trainable_variables),
    }


def _layers(model: Any, outer: str = "") -> Iterator[dict[str, Any]]:
    for layer in getattr(model, "layers", ()):
        if getattr(layer, "layers", None):
            yield from _layers(layer, f"{outer}{layer.name}/")
            continue
        yield {
            "layer": f"{outer}{layer.name}",
            "kind": type(layer).__name__,
            "output": _output_shape(layer),
            "parameters": _count(layer.variables),
            "trainable": _count(layer.trainable_variables),
        }


def _output_shape(layer: Any) -> str | None:
    try:
        outputs = keras.tree.flatten(layer.output)
    except AttributeError:  # called within the user's own call, or more than once
        return None
    return ", ".join(
        " × ".join(str(size or "?") for size in each.shape[1:]) or "1" for each in outputs
    )


def _count(variables: Iterable[Any]) -> int:
    return sum(math.prod(each.shape) for each in variables)
