"""What was asked for again against what a run began with: ``run --or-resume`` goes by the record."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.catalog import find_space
from orchestrator.config import Experiment
from orchestrator.errors import OrchestratorError
from orchestrator.experiment.begun import ELSEWHERE
from orchestrator.experiment.compatibility import changes_between, recorded_experiment
from orchestrator.experiment.prepared import folder_of, read_experiment
from orchestrator.records import read_run


def changed_since(
    experiment: str | Path | Mapping[str, Any] | Experiment, overrides: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the keys in which an experiment differs from the record of its run; none where there is no run.

    None too where the two cannot be compared: whoever goes on with the run then says why.
    """
    with contextlib.suppress(OrchestratorError):
        asked = read_experiment(experiment, overrides)
        folder = folder_of(asked)
        if folder.manifest_file.exists():
            recorded = recorded_experiment(read_run(folder.path))
            space = find_space(asked.search_space, asked.folder)
            changes = changes_between(recorded, asked, space)
            return tuple(
                key
                for key, (before, after) in changes.items()
                if key.partition(".")[0] not in ELSEWHERE
                and _place(before, recorded.folder) != _place(after, asked.folder)
            )
    return ()


def _place(value: Any, folder: Path) -> Any:
    """Return a path as an absolute one, and anything else as it is: a submitted file has its paths written out."""
    is_path = isinstance(value, str) and "/" in value and "://" not in value
    return (folder / value).resolve() if is_path else value
