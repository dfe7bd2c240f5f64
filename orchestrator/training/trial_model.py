"""A trial's model as its builder made it and as it is compiled, and the values of variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.training.keras_backend import LiveNumber, array_of
from orchestrator.training.optimizers import LiveOptimizer
from orchestrator.training.task import LabelForm, LearningGoal

RowLoss = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Built:
    """A model fresh from its builder and what its structure depends on."""

    model: Any
    reads: Mapping[str, Any]
    compiled_by_user: bool
    asked_momentum: float
    constants: str | None = ""
    """What the model holds besides variables, equal for equal ones: "" for a bundled one, None where unknown."""


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
        variable.assign(value)


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
