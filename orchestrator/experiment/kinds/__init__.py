"""Kinds of trial before a run: each is checked, planned and described here, before Ray starts, without being run.

To add one: a module here, with a function as ``Prepare`` says, and a line in ``KINDS``. Its options and their line in
``TRIAL_KINDS`` are in ``config/trial_options.py``; what a worker does with it is a ``Trainable`` in ``trials/``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.experiment.executors import PlaceCheck
from orchestrator.experiment.given import Given
from orchestrator.experiment.kinds.command_trials import prepare_command
from orchestrator.experiment.kinds.function_trials import prepare_function
from orchestrator.experiment.kinds.keras_experiment import prepare_keras
from orchestrator.experiment.kinds.tuners_code import (
    prepare_keras_tuner,
    prepare_optuna,
    prepare_sklearn,
    space_of,
)
from orchestrator.records import RunFolder
from orchestrator.search import Plan

if TYPE_CHECKING:
    from orchestrator.trials import Trainable

__all__ = ["KINDS", "Prepare", "Trials", "space_of"]


class Trials(Protocol):
    """What the flow asks of a kind of trial before a run."""

    def job(self, experiment: Experiment, plan: Plan, folder: RunFolder) -> Trainable:
        """Return what the workers are given."""

    def surroundings(self) -> dict[str, Any]:
        """Return what trials must have in common to be compared, as the manifest holds it."""

    def facts(self) -> dict[str, Any]:
        """Return what trials learn, as the manifest holds it."""

    def sentences(self) -> Iterable[str]:
        """Return what trials learn and from what, for people."""


Prepare = Callable[[Experiment, Space, Given, PlaceCheck], tuple[Experiment, Plan, Trials]]
KINDS: Mapping[str, Prepare] = {
    "keras": prepare_keras,
    "function": prepare_function,
    "command": prepare_command,
    "optuna": prepare_optuna,
    "keras_tuner": prepare_keras_tuner,
    "sklearn": prepare_sklearn,
}
"""The kinds of trial: each checks an experiment; returns it with what was found out, its plan and its trials."""
