"""Everything that can be refused, refused before Ray starts and before anything is written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import (
    CallableReference,
    find_callbacks,
    find_data,
    find_model,
    find_space,
    read_names,
)
from orchestrator.config import Experiment, load_experiment, parse_experiment, to_yaml
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, PlaceError, explain
from orchestrator.experiment.address import check_ray_address
from orchestrator.experiment.ancestor import find_ancestor
from orchestrator.experiment.reads import check_every_hyperparameter_is_read
from orchestrator.records import RunFolder
from orchestrator.redaction import concealed
from orchestrator.schedulers import make_scheduler
from orchestrator.strategies import Plan, make_plan

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset
    from orchestrator.tuning.job import Job

REPORTED = ("loss", "accuracy", "val_loss", "val_accuracy")
"""What training reports of a model that it compiles itself."""


@dataclass(frozen=True)
class Prepared:
    """A checked experiment: its space, model, data and plan."""

    experiment: Experiment
    space: Space
    model: CallableReference
    dataset: Dataset | StreamedDataset
    plan: Plan
    callbacks: CallableReference | None = None

    @cached_property
    def document(self) -> str:
        """Return the complete experiment as YAML, its search space inline."""
        complete = self.experiment.model_copy(update={"search_space": self.space.to_document()})
        return to_yaml(complete)

    @property
    def cores(self) -> int:
        """Return the cores a cluster started here offers."""
        return available_cores()

    def job(self, folder: RunFolder) -> Job:
        """Return what the workers are given."""
        from orchestrator.training.session import Goal
        from orchestrator.training.task import TrainingTask
        from orchestrator.training.workbench import KerasJob

        plan = self.plan
        milestones = make_scheduler(plan.scheduler, plan.epochs, plan.mode).milestones
        return KerasJob(
            task=TrainingTask(
                self.model,
                self.dataset,
                plan.epochs,
                plan.recalibrate_every_validation,
                callbacks=self.callbacks,
            ),
            goal=Goal(
                plan.metric,
                plan.mode,
                frozenset(milestones),
                folder.checkpoints.resolve(),
                self.experiment.checkpoint_every,
            ),
            threads=max(1, round(plan.cpus_per_trial)),
            nursery=plan.nursery,
            secrets=concealed(),
        )


def read_experiment(
    experiment: str | Path | Mapping[str, Any] | Experiment, overrides: Sequence[str] = ()
) -> Experiment:
    """Return a checked Experiment from a file, a mapping, or one that is checked already."""
    if isinstance(experiment, Experiment):
        return experiment
    if isinstance(experiment, Mapping):
        return parse_experiment(experiment, overrides)
    return load_experiment(Path(experiment), overrides)


def prepare(experiment: Experiment) -> Prepared:
    """Check everything an experiment refers to and plan it. Nothing is written, no process is started."""
    _check_name_is_free(experiment)
    return prepare_again(experiment)


def prepare_again(experiment: Experiment) -> Prepared:
    """Check and plan an experiment whose run exists already."""
    space = find_space(experiment.search_space, experiment.folder)
    model = find_model(experiment.model, experiment.folder)
    callbacks = callbacks_of(experiment)
    _check_metric(experiment, model)
    plan = make_plan(experiment, space, find_ancestor(experiment))
    check_resources(plan)
    check_ray_address()
    reference = find_data(experiment.data.source, experiment.folder)
    from orchestrator.data import load_dataset

    dataset = load_dataset(reference, experiment.data, experiment.seed)
    read = read_space(plan, space)
    by_callbacks = read_names(callbacks) if callbacks else set()
    check_every_hyperparameter_is_read(read, model, plan, dataset, by_callbacks)
    return Prepared(experiment, space, model, dataset, plan, callbacks)


def callbacks_of(experiment: Experiment) -> CallableReference | None:
    """Return the function that returns a trial's Keras callbacks, None where there is none."""
    if experiment.callbacks is None:
        return None
    return find_callbacks(experiment.callbacks, experiment.folder)


def read_space(plan: Plan, space: Space) -> Space:
    """Return the space whose names must be read: a babysat trial's start, or what trials are drawn from."""
    if plan.nursery is None:
        return space
    return Space.parse(dict(plan.trials[0].hyperparameters), "panda.start")


def available_cores() -> int:
    """Return the cores this process may use; in a job of Slurm those that it was given, bound to them or not."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(cores, int(given)) if given.isdecimal() and int(given) else cores


def folder_of(experiment: Experiment) -> RunFolder:
    """Return where an experiment's run lies, or will lie."""
    return RunFolder(Path(experiment.storage_path) / experiment.name)


def _check_name_is_free(experiment: Experiment) -> None:
    folder = folder_of(experiment)
    if folder.path.exists():
        raise folder.taken()


def _check_metric(experiment: Experiment, model: CallableReference) -> None:
    """Refuse a metric that a bundled model will not report; what a user's model reports only training shows."""
    if model.kind == "bundled" and experiment.metric not in REPORTED:
        raise ExperimentFileError(
            explain("metric", "a metric that the model reports", experiment.metric, REPORTED)
        )


def check_resources(plan: Plan) -> None:
    """Refuse a trial that this machine can never start; a cluster at RAY_ADDRESS is not known yet."""
    if os.environ.get("RAY_ADDRESS"):
        return
    cores = available_cores()
    if plan.cpus_per_trial > cores:
        raise PlaceError(
            f"resources.cpu: expected at most the {cores} cores of this machine. Received: {plan.cpus_per_trial:g}."
        )
    gpus = visible_gpus()
    if plan.gpus_per_trial > gpus:
        raise PlaceError(
            f"resources.gpu: expected at most the {gpus} GPUs of this machine. Received: {plan.gpus_per_trial:g}."
        )


def visible_gpus() -> int:
    """Return the NVIDIA GPUs of this machine, as CUDA_VISIBLE_DEVICES shows them."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = (
        len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
        if Path("/proc/driver/nvidia/gpus").exists()
        else 0
    )
    if shown is None:
        return present
    return min(
        present, len([device for device in shown.split(",") if device.strip() not in ("", "-1")])
    )
