"""What a compiled model will report, by name, and whether more or less of it is good: known without training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from orchestrator.config.metrics import Direction, direction_of, plain_name
from orchestrator.training.keras_backend import IS_TENSORFLOW
from orchestrator.training.keras_internals import (
    averaged_by,
    is_loss,
    metrics_by_name,
    name_of_kind,
    times_named,
)

if TYPE_CHECKING:
    pass


def reported(model: Any, batch: tuple[Any, ...]) -> dict[str, Direction | None]:
    """Return the figures that a compiled model reports of an epoch: {name: direction, None where nobody knows}.

    Found by one evaluation step on ``batch``, a few rows of (x, y): weights stay as they are. The direction is that of
    the metric's class, whichever name it bears, else as its name tells. What a model's own ``train_step`` reports is
    not known: then there are figures of the validation alone, ``val_…``.
    """
    model.reset_metrics()
    logs = (
        model.test_step(batch) if IS_TENSORFLOW else model.test_on_batch(*batch, return_dict=True)
    )
    results = model.get_metrics_result()
    own = isinstance(logs, Mapping) and set(logs) != set(results)
    names = plain(logs if own else results)
    model.reset_metrics()
    objects = dict(metrics_by_name(model))
    canonical = canonical_names(model)
    found = {
        canonical.get(name, name): _direction(name, None if own else objects.get(name))
        for name in names
    }
    trains_as_keras = type(model).train_step is keras.Model.train_step
    of_validation = {f"val_{name}": direction for name, direction in found.items()}
    return {**(found if trains_as_keras else {}), **of_validation}


def canonical_names(model: Any) -> dict[str, str]:
    """Return {name that Keras numbered: name it has in a process of its own}, where the two differ.

    Keras counts over a process: ``AUC()`` is ``auc`` in the first model and ``auc_1`` in the next. Several of one kind
    in one model stay apart. A name that somebody gave is left as it is.
    """
    kinds: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name, metric in metrics_by_name(model):
        kind = name_of_kind(type(metric))
        numbered = re.fullmatch(rf"{kind}(?:_(\d+))?", metric.name)
        if numbered and name.endswith(metric.name):
            output = name[: len(name) - len(metric.name)]
            kinds.setdefault((output, kind), []).append((int(numbered[1] or 0), name))
    found: dict[str, str] = {}
    for (output, kind), several in kinds.items():
        if any(number and number >= times_named(kind) for number, _ in several):
            continue
        for at, (_, name) in enumerate(sorted(several)):
            found[name] = f"{output}{kind}_{at}" if at else f"{output}{kind}"
    return {name: canonical for name, canonical in found.items() if name != canonical}


def _direction(name: str, metric: Any) -> Direction | None:
    """Return whether more or less is good: as the metric's class is known, else as its name tells."""
    for kind in type(metric).__mro__ if metric is not None else ():
        if kind.__module__.startswith("keras.") and (known := direction_of(name_of_kind(kind))):
            return known
    function = averaged_by(metric)
    if function is not None:
        return _of_function(function, name)
    return direction_of(name)


def _of_function(function: Any, name: str) -> Direction | None:
    """Return the direction of what Keras averages: one of its losses, a loss of the user's, or a function."""
    if is_loss(function):
        return "min"
    return direction_of(plain_name(getattr(function, "__name__", name))) or direction_of(name)


def plain(results: Any) -> dict[str, float]:
    """Return metric tensors, nested as Keras nests those of several outputs, as flat numbers."""
    flat: dict[str, float] = {}
    for name, value in results.items():
        if isinstance(value, dict):
            flat |= {f"{name}_{inner}": number for inner, number in plain(value).items()}
        elif np.ndim(value) == 0:
            flat[name] = float(value)
    return flat
