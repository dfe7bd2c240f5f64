"""A babysat run taken up again where it was cut off."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil

from orchestrator.config import parse_experiment
from orchestrator.errors import ExperimentFileError, RunExistsError
from orchestrator.experiment.prepared import Prepared, prepare_again
from orchestrator.records import RunFolder, RunRecords, TrialRecord, read_run
from orchestrator.strategies import TrialSpec
from orchestrator.training.checkpoint import load_checkpoint


def prepare_to_resume(folder: RunFolder) -> tuple[Prepared, RunRecords]:
    """Return a cut-off run's experiment with the trials that have not ended, and its records so far.

    Raises RunExistsError for a run that is finished or still being driven, ExperimentFileError for a caviar.
    """
    records = read_run(folder.path)
    if records.status == "finished":
        raise RunExistsError(
            f"{records.name}: expected a run that was cut off. Received: a finished one."
        )
    if records.experiment.get("strategy") != "panda":
        raise ExperimentFileError(
            f"{records.name}: expected a babysat run (strategy: panda). Received: a caviar, which cannot"
            " be resumed yet; run it again under another name."
        )
    _check_nobody_drives(records)
    experiment = parse_experiment(records.experiment | {"storage_path": str(folder.path.parent)})
    prepared = prepare_again(experiment.at(Path(records.manifest.get("folder", "."))))
    known = {spec.trial: spec for spec in prepared.plan.trials}
    known |= {spec.trial: spec for spec in _branches(records)}
    ended = {trial.trial for trial in records.trials if _is_over(trial)}
    pending = tuple(spec for spec in known.values() if spec.trial not in ended)
    return replace(prepared, plan=replace(prepared.plan, trials=pending)), records


def driver() -> dict[str, str | int]:
    """Return who drives a run, for its ``run_started`` event."""
    return {"host": platform.node(), "pid": os.getpid()}


def _check_nobody_drives(records: RunRecords) -> None:
    """Refuse a run whose driver is alive on this machine."""
    starts = [event for event in records.events if event["event"] == "run_started"]
    if records.status != "running" or not starts or starts[-1].get("host") != platform.node():
        return
    pid = int(starts[-1].get("pid", 0))
    if pid != os.getpid() and psutil.pid_exists(pid):
        raise RunExistsError(
            f"{records.name}: expected a run that nobody drives. Received: one that process {pid} on this"
            " machine drives."
        )


def _is_over(trial: TrialRecord) -> bool:
    return trial.ending not in (None, "interrupted")


def _branches(records: RunRecords) -> Iterator[TrialSpec]:
    """Yield the branches that were made, as they were planned."""
    for entry in records.journal:
        if entry["kind"] != "applied" or entry.get("action") != "branch":
            continue
        day = int(entry["to_day"])
        file = records.folder.checkpoints / entry["trial"] / f"day-{day:05d}.npz"
        if not file.exists():
            continue
        about = load_checkpoint(file).about
        changes = {name: new for name, (_, new) in (entry.get("changes") or {}).items()}
        yield TrialSpec(
            trial=entry["branch"],
            index=1 + len(records.trials),
            seed=int(about["seed"]),
            hyperparameters={**about["chosen"], **changes},
            checkpoint=str(file.resolve()),
            branch=True,
            changes=changes,
            origin={
                "run": None,
                "trial": entry["trial"],
                "day": day,
                "epoch": int(about["epoch"]),
                "stretch": int(about["panda"]["stretch"]),
            },
        )
