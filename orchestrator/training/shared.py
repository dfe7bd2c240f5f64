"""Whether two models have something in common that training changes: then one trial would go on from another's."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from orchestrator.catalog import CallableReference
from orchestrator.errors import TrialError
from orchestrator.training.rates import unwrapped

_seen: dict[int, weakref.ref[Any]] = {}


def check_nothing_is_shared(model: Any, reference: CallableReference) -> None:
    """Raise TrialError, naming it, for a layer or optimizer that an earlier model of this process has too."""
    for what, variable in _trained(model):
        known = _seen.get(id(variable))
        if known is not None and known() is variable:
            raise TrialError(
                f"model {reference.text}: expected a model of its own for each trial. Received: {what}, which an"
                f" earlier model has too. Make it inside {reference.function}()."
            )
    for _, variable in _trained(model):
        at = id(variable)
        _seen[at] = weakref.ref(variable, lambda _, at=at: _seen.pop(at, None))  # type: ignore[misc]


def _trained(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield every variable of a model and of its optimizer, with what it belongs to."""
    for variable in model.variables:
        yield f"the weights {variable.path}", variable
    optimizer = getattr(model, "optimizer", None)
    for variable in getattr(optimizer, "variables", ()):
        yield f"the optimizer {type(unwrapped(optimizer)).__name__}", variable
