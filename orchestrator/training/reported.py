"""What a compiled model will report, by name, and whether more or less of it is good: known without training."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import keras
from keras.src.utils import naming  # not public: how Keras names what has no name

from orchestrator.config.metrics import Direction, direction_of, plain_name
from orchestrator.training.program import plain


def reported(model: Any, batch: tuple[Any, ...]) -> dict[str, Direction | None]:
    """Return the figures that a compiled model reports of an epoch: {name: direction, None where nobody knows}.

    Found by one evaluation step on ``batch``, a few rows of (x, y): weights stay as they are. The direction is that of
    the metric's class, whichever name it bears, else as its name tells. What a model's own ``train_step`` reports is
    not known: then there are figures of the validation alone, ``val_…``.
    """
    model.reset_metrics()
    logs = model.test_step(batch)
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


def metrics_by_name(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield each metric of a model that has seen a batch, under the name that its figure bears in the results."""
    for metric in model.metrics:
        if type(metric).__name__ == "CompileMetrics":
            yield from _of_compile(metric)
        else:
            yield metric.name, metric


def canonical_names(model: Any) -> dict[str, str]:
    """Return {name that Keras numbered: name it has in a process of its own}, where the two differ.

    Keras counts over a process: ``AUC()`` is ``auc`` in the first model and ``auc_1`` in the next. Several of one kind
    in one model stay apart. A name that somebody gave is left as it is.
    """
    kinds: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name, metric in metrics_by_name(model):
        kind = naming.to_snake_case(type(metric).__name__)
        numbered = re.fullmatch(rf"{kind}(?:_(\d+))?", metric.name)
        if numbered and name.endswith(metric.name):
            output = name[: len(name) - len(metric.name)]
            kinds.setdefault((output, kind), []).append((int(numbered[1] or 0), name))
    found: dict[str, str] = {}
    for (output, kind), several in kinds.items():
        if any(number and not _counted(kind, number) for number, _ in several):
            continue
        for at, (_, name) in enumerate(sorted(several)):
            found[name] = f"{output}{kind}_{at}" if at else f"{output}{kind}"
    return {name: canonical for name, canonical in found.items() if name != canonical}


def _counted(kind: str, number: int) -> bool:
    """Return whether Keras's counter has come so far that the number may be its own."""
    counters = keras.src.backend.common.global_state.get_global_attribute("object_name_uids")
    return bool(counters) and counters.get(kind, 0) > number


def _of_compile(compiled: Any) -> Iterator[tuple[str, Any]]:
    """Yield the metrics of ``compile``, named as ``CompileMetrics.result`` does."""
    if not compiled.built:
        return
    seen: Counter[str] = Counter()
    for of_output in compiled._flat_metrics:
        for metric in of_output.metrics if of_output else ():
            name = _prefixed(of_output, metric.name)
            yield f"{name}_{seen[name]}" if seen[name] else name, metric
            seen[name] += 1
    for of_output in compiled._flat_weighted_metrics:
        for metric in of_output.metrics if of_output else ():
            name = _prefixed(of_output, metric.name)
            if seen[name]:
                name = _prefixed(of_output, f"weighted_{metric.name}")
            yield f"{name}_{seen[name]}" if seen[name] else name, metric
            seen[name] += 1


def _prefixed(of_output: Any, name: str) -> str:
    return f"{of_output.output_name}_{name}" if of_output.output_name else name


def _direction(name: str, metric: Any) -> Direction | None:
    """Return whether more or less is good: as the metric's class is known, else as its name tells."""
    for kind in type(metric).__mro__ if metric is not None else ():
        if kind.__module__.startswith("keras.") and (
            known := direction_of(naming.to_snake_case(kind.__name__))
        ):
            return known
    function = getattr(metric, "_fn", None)
    if function is not None:
        return _of_function(function, name)
    return direction_of(name)


def _of_function(function: Any, name: str) -> Direction | None:
    """Return the direction of what Keras averages: one of its losses, a loss of the user's, or a function."""
    module = getattr(function, "__module__", "") or ""
    if isinstance(function, keras.losses.Loss) or module.startswith("keras.src.losses"):
        return "min"
    return direction_of(plain_name(getattr(function, "__name__", name))) or direction_of(name)
