"""A run's experiment from its records: as it is recorded now, and as it was begun and extended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.config import Experiment, parse_experiment
from orchestrator.records import RunRecords
from orchestrator.records.run import with_changes


def recorded_experiment(records: RunRecords) -> Experiment:
    """Return the experiment of a run, wherever its folder lies now."""
    return _here(records.experiment, records)


def begun_experiment(records: RunRecords) -> Experiment | None:
    """Return what a run began with and what extensions made of it; None where the manifest does not hold that."""
    begun = records.manifest.get("experiment")
    if not isinstance(begun, dict):
        return None
    return _here(with_changes(begun, records.state.extensions), records)


def _here(content: Mapping[str, Any], records: RunRecords) -> Experiment:
    place = {"storage_path": str(records.folder.path.parent)}
    experiment = parse_experiment({**content, **place})
    return experiment.at(Path(records.manifest.get("folder", ".")))
