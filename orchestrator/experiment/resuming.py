"""A run taken up again where it was cut off."""

from __future__ import annotations

import os
import platform
from dataclasses import replace

from orchestrator.errors import RunExistsError
from orchestrator.experiment.begun import check_as_begun, check_unchanged
from orchestrator.experiment.given import NOTHING, Given, check_needed
from orchestrator.experiment.place import PlaceCheck, check_place
from orchestrator.experiment.prepared import prepare_again
from orchestrator.experiment.recorded import recorded_experiment
from orchestrator.experiment.remaining import Resumed, remaining
from orchestrator.experiment.restoring import is_repeatable, lost_winner
from orchestrator.records import RunFolder, RunRecords, model_is_as_saved, read_run


def prepare_to_resume(
    folder: RunFolder, given: Given = NOTHING, place: PlaceCheck = check_place
) -> Resumed:
    """Return what is left of a cut-off run, rebuilt from its records alone.

    Its lock is held by the caller; ``given`` are the objects that it was begun with. Raises RunExistsError for a run
    that is over, ExperimentFileError where its experiment, its data, its code or Keras's settings are no longer what
    they were.
    """
    records = read_run(folder.path, exact=True)
    if is_over(records):
        raise RunExistsError(
            f"{records.name}: expected a run that was cut off. Received: a finished one."
        )
    check_as_begun(records)
    check_needed(records, records.experiment, given)
    prepared = prepare_again(recorded_experiment(records), given, place)
    check_unchanged(prepared, records)
    if records.status == "finished":
        examined = replace(prepared, plan=replace(prepared.plan, num_trials=0, rounds=None))
        return Resumed(examined, records, reason=records.standing.reason)
    return remaining(prepared, records)


def is_over(records: RunRecords) -> bool:
    """Return whether nothing is left to do of a run: it is finished, and has its winner or nothing to examine."""
    if records.status != "finished":
        return False
    lost = lost_winner(records)
    to_examine = bool(records.contenders) and (lost is None or is_repeatable(lost, records))
    return (records.winner is not None and model_is_as_saved(records)) or not to_examine


def driver() -> dict[str, str | int]:
    """Return who drives a run, for its ``run_started`` event."""
    return {"host": platform.node(), "pid": os.getpid()}
