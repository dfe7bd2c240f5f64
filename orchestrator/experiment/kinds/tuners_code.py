"""Trials whose code is written for something else as it stands: Optuna, KerasTuner, scikit-learn.

The search space of the first two is what they ask for, found by running them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import CallableReference, find_data, find_trial
from orchestrator.catalog import space_of as space_written
from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.errors import DataError, ExperimentFileError, explain
from orchestrator.experiment.executors import PlaceCheck
from orchestrator.experiment.given import NOTHING, Given
from orchestrator.experiment.kinds.function_trials import FunctionTrials, planned, reporting
from orchestrator.experiment.kinds.keras_experiment import fields_of, model_of, prepare_keras
from orchestrator.experiment.kinds.keras_trials import KerasTrials, code_facts, data_facts
from orchestrator.records import RunFolder
from orchestrator.search import Plan
from orchestrator.training import keras_tuner_builder
from orchestrator.training.exploring import QUIET_SECONDS, Call, Explored, find_space
from orchestrator.training.hyperparameters import read_while_training
from orchestrator.training.keras_setup import BACKEND
from orchestrator.training.keras_tuner_builder import KerasTunerBuilder
from orchestrator.trials import Trainable, objective
from orchestrator.trials.estimator import (
    ALWAYS,
    SCORES,
    EstimatorJob,
    EstimatorReference,
    Learns,
    Rows,
)
from orchestrator.trials.exploration import FoundSpace
from orchestrator.trials.objective import Judged, ObjectiveJob, ObjectiveReference

if TYPE_CHECKING:
    from orchestrator.data import Dataset

CALLS: Mapping[str, Call] = {
    "optuna": objective.explored,
    "keras_tuner": keras_tuner_builder.explored,
}
"""How the code of each kind that brings its space is run for it."""


def space_of(experiment: Experiment, given: Given = NOTHING) -> Space:
    """Return an experiment's search space with its constraints; that which its trials' code brings is found.

    What the file says of some hyperparameters stands in place of their own ranges. Raises as ``catalog.space_of`` and
    ``training.exploring.find_space``.
    """
    trial = experiment.trial
    written = space_written(experiment)
    if trial is None or not trial.brings_space:
        return written
    code = given.trial or find_trial(trial, experiment.folder)
    own = read_while_training(None) if trial.is_keras else frozenset()
    backend = experiment.backend if trial.is_keras else os.environ.get("KERAS_BACKEND", BACKEND)
    explored = Explored(code, CALLS[trial.kind], own, backend)
    space = find_space(explored, f"trial {code.text}", written.domains)
    return space.constrained(experiment.constraints)


@dataclass(frozen=True)
class ObjectiveTrials(FunctionTrials):
    """The Optuna objective that each trial calls, and the ranges that it asks for."""

    asked: Mapping[str, str]
    quiet: bool = False

    def job(self, experiment: Experiment, plan: Plan, folder: RunFolder) -> Trainable:
        """Return what the workers are given."""
        judged = Judged(plan.metric, plan.mode == "max", plan.epochs, experiment.name)
        reference = ObjectiveReference(**fields_of(self.function), judged=judged)
        return ObjectiveJob(
            function=reference, **reporting(self.function.text, experiment, plan, folder)
        )

    def surroundings(self) -> dict[str, Any]:
        """Return what trials must have in common to be compared: the objective's code, and what it asks for."""
        return {"trial": {**super().surroundings()["trial"], "asked": dict(self.asked)}}

    def sentences(self) -> Iterator[str]:
        """Yield what a trial is."""
        yield f"trial: a call of the Optuna objective {self.function.text}, which brings its own model and data"
        if self.quiet:
            yield (
                f"its space: {QUIET_SECONDS:.0f} s after its last question it was taken to train, and left. A"
                " hyperparameter that it asks for later is not in the space, and fails its trial: ask for all of them"
                " before anything slow"
            )


def prepare_optuna(
    experiment: Experiment, space: Space, given: Given, place: PlaceCheck
) -> tuple[Experiment, Plan, ObjectiveTrials]:
    """Check what an experiment of an Optuna objective refers to, and plan it."""
    function = given.trial or find_trial(experiment.trial, experiment.folder)
    quiet = isinstance(space, FoundSpace) and space.quiet
    return *planned(experiment, space, place), ObjectiveTrials(function, asked_by(space), quiet)


def asked_by(space: Space) -> Mapping[str, str]:
    """Return the ranges that the code of a space asks for."""
    return space.asked if isinstance(space, FoundSpace) else {}


def prepare_keras_tuner(
    experiment: Experiment, space: Space, given: Given, place: PlaceCheck
) -> tuple[Experiment, Plan, KerasTrials]:
    """Check what an experiment of a KerasTuner builder refers to, and plan it as one of Keras models."""
    builder = given.trial or model_of(experiment)
    asked = asked_by(space)
    model = KerasTunerBuilder(**{**fields_of(builder), "asks": frozenset(asked)})
    experiment, plan, trials = prepare_keras(experiment, space, replace(given, model=model), place)
    return experiment, plan, KerasTunerTrials(**_of(trials), asked=asked)


@dataclass(frozen=True, kw_only=True)
class KerasTunerTrials(KerasTrials):
    """The KerasTuner builder whose models trials train, and the ranges that it asks for."""

    asked: Mapping[str, str]

    def surroundings(self) -> dict[str, Any]:
        """Return what trials must have in common: as Keras models, and what the builder asks for."""
        return {
            **super().surroundings(),
            "trial": {**code_facts(self.model), "asked": dict(self.asked)},
        }


def _of(value: Any) -> dict[str, Any]:
    return {each.name: getattr(value, each.name) for each in fields(value)}


@dataclass(frozen=True)
class EstimatorTrials(FunctionTrials):
    """The function that makes each trial's estimator, and the rows that it is fitted on."""

    rows: Rows
    dataset: Dataset
    data_kind: str
    loader: CallableReference | None
    saves: bool

    def job(self, experiment: Experiment, plan: Plan, folder: RunFolder) -> Trainable:
        """Return what the workers are given."""
        reference = EstimatorReference(
            **fields_of(self.function),
            rows=self.rows,
            epochs=plan.epochs,
            metric=plan.metric,
            mode=plan.mode,
            saves=self.saves,
        )
        return EstimatorJob(
            function=reference, **reporting(self.function.text, experiment, plan, folder)
        )

    def surroundings(self) -> dict[str, Any]:
        """Return what trials must have in common to be compared: the function's code, and the data."""
        data = data_facts(self.dataset, self.loader, self.data_kind)
        return {**super().surroundings(), "data": data}

    def facts(self) -> dict[str, Any]:
        """Return the task as the run's record has it."""
        return {"kind": self.rows.learns, "baseline": {}, "said": list(self.sentences())}

    def sentences(self) -> Iterator[str]:
        """Yield what a trial is, and what it learns."""
        yield f"trial: a fit of the scikit-learn estimator that {self.function.text} makes"
        what = f" of {self.rows.classes} classes" if self.rows.learns == "classification" else ""
        yield f"task: {self.rows.learns}{what}"
        counts = ", ".join(f"{len(y)} {part}" for part, (_, y) in self.rows.parts.items())
        yield f"rows: {counts}, of {self.rows.parts['train'][0].shape[1]} features"


def prepare_sklearn(
    experiment: Experiment, space: Space, given: Given, place: PlaceCheck
) -> tuple[Experiment, Plan, EstimatorTrials]:
    """Check what an experiment of scikit-learn estimators refers to, and plan it."""
    function = given.trial or find_trial(experiment.trial, experiment.folder)
    data = experiment.data_options
    reference = given.data or find_data(data.source, experiment.folder)
    for key in ("folds", "sample_weight", "class_weight"):
        if getattr(data, key) is not None:
            expected = "expected no such key beside trial: {sklearn: ...}"
            raise ExperimentFileError(explain(f"data.{key}", expected, getattr(data, key)))
    from orchestrator.data import Dataset, load_dataset  # after what is cheaper to refuse

    dataset = load_dataset(reference, data.for_model(False), experiment.seed, experiment.task)
    if not isinstance(dataset, Dataset):
        raise DataError(f"data {data.source}: expected data in memory. Received: a stream.")
    rows = rows_of(dataset, experiment)
    metric = experiment.metric
    if metric == "auto":
        metric = f"val_{ALWAYS[rows.learns][0]}"
        experiment = experiment.model_copy(update={"metric": metric})
    name = metric.removeprefix("val_")
    if name not in rows.scores:
        known = [f"val_{each}" for each in SCORES[rows.learns]]
        raise ExperimentFileError(
            explain("metric", "a metric of the validation rows", metric, known)
        )
    save = bool(getattr(experiment.trial, "save", False))
    found = EstimatorTrials(function, rows, dataset, reference.kind, reference.function, save)
    return *planned(experiment, space, place), found


def rows_of(dataset: Dataset, experiment: Experiment) -> Rows:
    """Return a dataset as scikit-learn takes it: one table of features, one label a row.

    Raises DataError for several inputs or outputs, weights, and labels that are neither classes nor quantities.
    """
    import numpy as np

    where = f"data {experiment.data_options.source}"
    classes = dataset.labels.form == "classes" and experiment.task != "regression"
    parts = {}
    for part in ("train", "validation", "test"):
        split = getattr(dataset, part)
        if split.weight is not None or not hasattr(split.x, "reshape"):
            received = "weights" if split.weight is not None else "several inputs"
            raise DataError(
                explain(where, "expected one array of features, without weights", received)
            )
        y = np.asarray(split.y if classes else dataset.labels.numbers(split.labels))
        y = y.reshape(len(y), -1)
        if y.shape[1] != 1:
            raise DataError(explain(where, "expected one label a row", f"{y.shape[1]} columns"))
        parts[part] = split.x.reshape(len(y), -1), y[:, 0]
    learns: Learns = "classification" if classes else "regression"
    asked = (experiment.metric.removeprefix("val_"), *experiment.metrics)
    named = [name for name in asked if name in SCORES[learns]]
    for name in experiment.metrics:
        if name not in SCORES[learns]:
            expected = f"expected a metric of {learns} that is measured of an estimator"
            raise ExperimentFileError(explain("metrics", expected, name, SCORES[learns]))
    scores = tuple(dict.fromkeys([*ALWAYS[learns], *named]))
    return Rows(parts, learns, len(dataset.labels.classes) if classes else 0, scores)
