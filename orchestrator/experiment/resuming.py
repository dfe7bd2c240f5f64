"""A run taken up again where it was cut off."""

from __future__ import annotations

import os
import platform
from dataclasses import replace
from pathlib import Path

from orchestrator.catalog import code_fingerprint
from orchestrator.config import Experiment, parse_experiment
from orchestrator.errors import ExperimentFileError, RunExistsError
from orchestrator.experiment.prepared import Prepared, prepare_again
from orchestrator.experiment.remaining import Resumed, remaining
from orchestrator.records import RunFolder, RunRecords, read_run
from orchestrator.records.extensions import surroundings
from orchestrator.training.session import checkpoint_file


def prepare_to_resume(folder: RunFolder) -> Resumed:
    """Return what is left of a cut-off run, rebuilt from its records alone.

    Its lock is held by the caller. Raises RunExistsError for a run that is over, ExperimentFileError where its
    data or its model's code are no longer what they were.
    """
    records = read_run(folder.path, exact=True)
    if is_over(records):
        raise RunExistsError(
            f"{records.name}: expected a run that was cut off. Received: a finished one."
        )
    prepared = prepare_again(recorded_experiment(records))
    _check_unchanged(prepared, records)
    if records.status == "finished":
        examined = replace(prepared, plan=replace(prepared.plan, trials=()))
        return Resumed(examined, records, reason=records.standing.why)
    return remaining(prepared, records)


def is_over(records: RunRecords) -> bool:
    """Return whether nothing is left to do of a run: it is finished, and has a winner or nothing to examine."""
    kept = records.folder.checkpoints
    return records.status == "finished" and (
        records.winner is not None
        or not any(checkpoint_file(kept, trial.trial).exists() for trial in records.contenders)
    )


def recorded_experiment(records: RunRecords) -> Experiment:
    """Return the experiment of a run, wherever its folder lies now."""
    place = {"storage_path": str(records.folder.path.parent)}
    experiment = parse_experiment(records.experiment | place)
    return experiment.at(Path(records.manifest.get("folder", ".")))


def _check_unchanged(prepared: Prepared, records: RunRecords) -> None:
    """Refuse to mix trials of other data or of another model into a run."""
    now = {
        "data": prepared.dataset.fingerprint,
        "model": code_fingerprint(prepared.model),
        "callbacks": prepared.callbacks and code_fingerprint(prepared.callbacks),
    }
    began_with = surroundings(records.manifest, records.events)
    for what, fingerprint in now.items():
        before = began_with.get(what, {}).get("fingerprint")
        if before not in (None, fingerprint):
            raise ExperimentFileError(
                f"{records.name}: expected the {what} the run began with. Received: {what} that has"
                " changed since, so that its trials could not be compared. Run it under another name, or keep"
                f" further trials apart in a group of their own: 'orchestrator extend {records.folder.path} --force'."
            )


def driver() -> dict[str, str | int]:
    """Return who drives a run, for its ``run_started`` event."""
    return {"host": platform.node(), "pid": os.getpid()}
