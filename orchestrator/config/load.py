"""From a file and a few ``--set`` to a complete experiment, or to every reason why not at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.config import yaml_dialect
from orchestrator.config.document import (
    Document,
    KeyPath,
    dotted,
    legible,
    parse_value,
    read_document,
)
from orchestrator.config.faults import sentences
from orchestrator.config.options import Experiment
from orchestrator.config.references import as_written, resolved
from orchestrator.config.sections import spelt_out
from orchestrator.domains import Space
from orchestrator.domains.values import shown
from orchestrator.errors import ExperimentFileError, explain


def load_experiment(path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
    """Return the experiment in the file ``path`` with each ``key.path=value`` of ``overrides`` set.

    Raises ``ExperimentFileError``, one line for each thing that is wrong.
    """
    return check(with_overrides(read_document(path), overrides))


def parse_experiment(content: Mapping[str, Any], overrides: Iterable[str] = ()) -> Experiment:
    """Return the experiment that a mapping describes, its references relative to where we are."""
    return check(with_overrides(Document(Path("experiment"), content), overrides))


def check(document: Document) -> Experiment:
    """Return the experiment that a document describes, its references resolved, its defaults filled in."""
    document, kept = resolved(document)
    content: dict[str, Any] = {"name": name_of(document.path), **document.content}
    faults: list[str] = []
    experiment = None
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        faults += sentences(error, document)
    if isinstance(content.get("search_space"), Mapping):
        try:
            Space.parse(content["search_space"], document.under(("search_space",)))
        except ExperimentFileError as error:
            faults.append(str(error))
    if experiment is None or faults:
        raise ExperimentFileError("\n".join(faults))
    return experiment.at(document.path.absolute().parent, kept)


def name_of(path: Path) -> str:
    """Return the name of a run whose file gives none: the file's own, as a folder can have it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip(".") or "experiment"


def to_yaml(experiment: Experiment) -> str:
    """Return the complete file of an experiment, every default written out; it loads back equal.

    References to the environment stand in it as references.
    """
    return yaml_dialect.dump(as_written(experiment.model_dump(), experiment.references))


def with_overrides(document: Document, overrides: Iterable[str]) -> Document:
    """Return the document with each ``key.path=value`` set; the value is read as YAML.

    Whether the keys exist and the values fit is judged later, with the rest of the document.
    """
    content = deepcopy(dict(document.content))
    origins = dict(document.origins)
    for override in overrides:
        origin = f"--set {legible(override)}"
        key, equals, written = override.partition("=")
        path: KeyPath = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path):
            raise ExperimentFileError(explain(origin, "expected key.path=value", override))
        value, _ = parse_value(written, origin)
        _put(content, path, value, origin)
        origins = {known: said for known, said in origins.items() if known[: len(path)] != path}
        origins[path] = origin
    return replace(document, content=content, origins=origins)


def _put(content: dict[str, Any], path: KeyPath, value: Any, origin: str) -> None:
    inside: Any = content
    for depth, part in enumerate(path[:-1], start=1):
        inner = spelt_out(path[:depth], inside.get(part))
        if not isinstance(inner, dict):
            expected = f"expected a mapping at {dotted(path[:depth])}, to set a key inside it"
            raise ExperimentFileError(explain(origin, expected, shown(inner)))
        inside[part] = inner
        inside = inner
    inside[path[-1]] = value
