"""From a file and a few ``--set`` to a complete experiment, or to every reason why not at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.config import yaml_dialect
from orchestrator.config.document import Document, read_document
from orchestrator.config.faults import sentences
from orchestrator.config.options import Experiment
from orchestrator.config.overrides import with_overrides
from orchestrator.config.references import as_written, resolved
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError


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
