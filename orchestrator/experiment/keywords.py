"""What is asked for by keyword: the keys of an experiment, over a file, a mapping or another experiment."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict, TypeVar, get_type_hints

from orchestrator.config import (
    Document,
    Experiment,
    check,
    parse_experiment,
    read_document,
    with_overrides,
)
from orchestrator.errors import ExperimentFileError, explain, near_miss
from orchestrator.experiment.given import Given, name_for, taken_out

Source = str | Path | Mapping[str, Any] | Experiment | None


class Keys(TypedDict, total=False):
    """The keys of an experiment, as in its file; ``trial``, ``model``, ``data`` and ``callbacks`` may be objects."""

    name: str
    trial: Any
    model: Any
    backend: str
    callbacks: Any
    data: Any
    search_space: str | Path | Mapping[str, Any]
    constraints: str | Sequence[str]
    strategy: str
    task: str
    metric: str
    metrics: str | Sequence[str]
    mode: str
    epochs: int
    seed: int
    caviar: Mapping[str, Any]
    panda: Mapping[str, Any]
    resources: Mapping[str, Any]
    limits: Mapping[str, Any]
    retries: Mapping[str, Any]
    storage_path: str | Path
    keep_checkpoints: int
    checkpoint_every: str
    recalibrate_batch_norm: str
    report: bool
    target: str | Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A checked experiment, and the objects that were given with it."""

    experiment: Experiment
    given: Given = field(default_factory=Given)


_Call = TypeVar("_Call", bound=Callable[..., Any])


def with_keys_listed(function: _Call) -> _Call:
    """Have completion and ``help`` show the keys of an experiment as keywords, which they are."""
    signature = inspect.signature(function)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    keys = [
        inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=..., annotation=kind)
        for key, kind in get_type_hints(Keys).items()
    ]
    function.__signature__ = signature.replace(parameters=[*own, *keys])  # type: ignore[attr-defined]
    return function


def asked_for(
    experiment: Source,
    overrides: Sequence[str],
    keys: Mapping[str, Any],
    beside: Sequence[str] = ("experiment", "overrides"),
) -> Asked:
    """Return what is asked for: ``keys`` go over the experiment's own, ``overrides`` over both.

    ``beside`` are the other keywords that may have been meant by one that is no key.
    """
    for key in keys.keys() - Experiment.model_fields:
        meant = near_miss(key, [*Experiment.model_fields, *beside])
        if any(repr(name) in meant for name in beside):
            message = explain(f"{key}=...", "unknown keyword", key)
            raise ExperimentFileError(message + meant)
    if isinstance(experiment, Experiment):
        if not keys and not overrides:
            return Asked(experiment)
        return _over_an_experiment(experiment, overrides, keys)
    if isinstance(experiment, str | Path):
        document = read_document(experiment)
    elif experiment is None or isinstance(experiment, Mapping):
        document = Document(Path("experiment"), dict(experiment or {}))
    else:
        expected = "expected a file's path, a mapping of its keys or an Experiment"
        hint = " Write model=... before an object." if callable(experiment) else ""
        received = type(experiment).__name__
        raise ExperimentFileError(explain("experiment", expected, received) + hint)
    content, given = taken_out({**document.content, **keys})
    if experiment is None or (given.keys and not isinstance(experiment, str | Path)):
        content = {"name": name_for(content), **content}
    said: dict[tuple[str | int, ...], str] = {(key,): f"{key}=..." for key in keys}
    document = replace(document, content=content, origins={**document.origins, **said})
    return Asked(check(with_overrides(document, overrides)), given)


def _over_an_experiment(
    experiment: Experiment, overrides: Sequence[str], keys: Mapping[str, Any]
) -> Asked:
    content, given = taken_out({**experiment.model_dump(exclude_unset=True), **keys})
    new = parse_experiment(content, overrides)
    return Asked(new.at(experiment.folder, experiment.references), given)
