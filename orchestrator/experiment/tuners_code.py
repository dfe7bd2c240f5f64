"""Trials whose code is written for another tuner: what it may be is what it asks for, found by running it once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from orchestrator.catalog import find_trial
from orchestrator.catalog import space_of as space_written
from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.experiment.executors import PlaceCheck
from orchestrator.experiment.function_trials import FunctionTrials, planned, reporting
from orchestrator.experiment.given import NOTHING, Given
from orchestrator.experiment.keras_trials import KerasTrials, code_facts
from orchestrator.experiment.prepare_keras import fields_of, model_of, prepare_keras
from orchestrator.records import RunFolder
from orchestrator.search import Plan
from orchestrator.training import keras_tuner_builder
from orchestrator.training.exploring import Call, Explored, find_space
from orchestrator.training.hyperparameters import read_while_training
from orchestrator.training.keras_tuner_builder import KerasTunerBuilder
from orchestrator.trials import Trainable, objective
from orchestrator.trials.exploration import FoundSpace
from orchestrator.trials.objective import Judged, ObjectiveJob, ObjectiveReference

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
    explored = Explored(code, CALLS[trial.kind], own)
    space = find_space(explored, f"trial {code.text}", written.domains)
    return space.constrained(experiment.constraints)


@dataclass(frozen=True)
class ObjectiveTrials(FunctionTrials):
    """The Optuna objective that each trial calls, and the ranges that it asks for."""

    asked: Mapping[str, str]

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


def prepare_optuna(
    experiment: Experiment, space: Space, given: Given, place: PlaceCheck
) -> tuple[Experiment, Plan, ObjectiveTrials]:
    """Check what an experiment of an Optuna objective refers to, and plan it."""
    function = given.trial or find_trial(experiment.trial, experiment.folder)
    return *planned(experiment, space, place), ObjectiveTrials(function, asked_by(space))


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
