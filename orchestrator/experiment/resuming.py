"""A run taken up again where it was cut off."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.catalog import code_fingerprint
from orchestrator.config import parse_experiment
from orchestrator.errors import ExperimentFileError, RunExistsError
from orchestrator.experiment.gaps import incomplete_trials
from orchestrator.experiment.prepared import Prepared, prepare_again
from orchestrator.records import RunFolder, RunRecords, TrialEnd, TrialRecord, read_run
from orchestrator.records.journal import stretch_of
from orchestrator.schedulers import PassedBefore, Scheduler, make_scheduler
from orchestrator.strategies import Plan, TrialSpec
from orchestrator.training.checkpoint import load_checkpoint
from orchestrator.training.panda.days import DayCheckpoints

if TYPE_CHECKING:
    from orchestrator.tuning.job import Sitting


@dataclass(frozen=True)
class Resumed:
    """What is left to do of a run: its experiment with the trials that have not ended.

    ``records`` is what happened so far; ``scheduler`` has seen it; ``endings`` are of trials that the scheduler had
    stopped when the driver died before it could write that down. All are empty for a new run.
    """

    prepared: Prepared
    records: RunRecords | None = None
    scheduler: Scheduler | None = None
    endings: tuple[TrialEnd, ...] = ()

    def sitting(self, stopping: Callable[[], bool]) -> Sitting:
        """Return what this stretch of the run is given; ``stopping`` says when it is asked to end."""
        from orchestrator.tuning.job import Sitting, Spent

        before = self.records
        if before is None:
            return Sitting(self.prepared.cores, stopping=stopping)
        over = [trial for trial in before.trials if _is_over(trial)]
        spent = Spent(
            seconds=before.seconds,
            trials=len(over),
            epochs=len(before.epochs),
            failed=sum(trial.status == "failed" for trial in over),
        )
        return Sitting(self.prepared.cores, self.scheduler, spent, stopping)


def prepare_to_resume(folder: RunFolder) -> Resumed:
    """Return what is left of a cut-off run, rebuilt from its records alone.

    Its lock is held by the caller. Raises RunExistsError for a run that is finished, ExperimentFileError where its
    data or its model's code are no longer what they were.
    """
    records = read_run(folder.path)
    if records.status == "finished":
        raise RunExistsError(
            f"{records.name}: expected a run that was cut off. Received: a finished one."
        )
    experiment = parse_experiment(records.experiment | {"storage_path": str(folder.path.parent)})
    prepared = prepare_again(experiment.at(Path(records.manifest.get("folder", "."))))
    _check_unchanged(prepared, records)
    plan = prepared.plan
    scheduler, endings = _decided(plan, records)
    known = {spec.trial: spec for spec in plan.trials} | {b.trial: b for b in _branches(records)}
    again = incomplete_trials(records, plan)
    endings = tuple(end for end in endings if end.trial not in again)
    over = {trial.trial for trial in records.trials if _is_over(trial)} - again
    over |= {end.trial for end in endings}
    pending = tuple(spec for spec in known.values() if spec.trial not in over)
    left = replace(prepared, plan=replace(plan, trials=pending))
    return Resumed(left, records, scheduler, endings)


def _decided(plan: Plan, records: RunRecords) -> tuple[Scheduler, tuple[TrialEnd, ...]]:
    """Return the scheduler as the recorded epochs left it, and the endings it decided that were not written down."""
    scheduler = make_scheduler(plan.scheduler, plan.epochs, plan.mode)
    reached: dict[str, int] = {}
    for row in records.epochs:
        reached[row["trial"]] = max(int(row["epoch"]), reached.get(row["trial"], 0))
    open_trials = {trial.trial: trial for trial in records.trials if not _is_over(trial)}
    endings = {}
    for row in records.epochs:
        trial, epoch = row["trial"], int(row["epoch"])
        value = row["metrics"].get(plan.metric)
        decision = scheduler.report(trial, epoch, value)
        if decision.stop and trial in open_trials and epoch >= reached[trial]:
            stopped_by = {
                "scheduler": scheduler.name,
                "epoch": epoch,
                "value": value,
                "cutoff": decision.cutoff,
            }
            seconds = sum(float(each["seconds"]) for each in records.epochs_of(trial))
            endings[trial] = TrialEnd(trial, "stopped", seconds, stopped_by=stopped_by)
    return PassedBefore(scheduler, reached), tuple(endings.values())


def _check_unchanged(prepared: Prepared, records: RunRecords) -> None:
    """Refuse to mix trials of other data or of another model into a run."""
    now = {
        "data": prepared.dataset.fingerprint,
        "model": code_fingerprint(prepared.model),
    }
    for what, fingerprint in now.items():
        before = records.manifest.get(what, {}).get("fingerprint")
        if before not in (None, fingerprint):
            raise ExperimentFileError(
                f"{records.name}: expected the {what} the run began with. Received: {what} that has"
                " changed since, so that its trials could not be compared. Run it under another name."
            )


def driver() -> dict[str, str | int]:
    """Return who drives a run, for its ``run_started`` event."""
    return {"host": platform.node(), "pid": os.getpid()}


def _is_over(trial: TrialRecord) -> bool:
    return trial.ending not in (None, "interrupted")


def _branches(records: RunRecords) -> Iterator[TrialSpec]:
    """Yield the branches that were made, as they were planned."""
    for entry in records.journal:
        if entry["kind"] != "applied" or entry.get("action") != "branch":
            continue
        day = int(entry["to_day"])
        file = DayCheckpoints(records.folder.checkpoints / entry["branch"]).file(day)
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
                "stretch": stretch_of(entry),
            },
        )
