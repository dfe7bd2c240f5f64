"""Trials that call a Python function of the user's: found, planned and refused before Ray starts, without being run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.catalog import CallableReference, find_trial
from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.experiment.executors import PlaceCheck
from orchestrator.experiment.given import Given
from orchestrator.experiment.kinds.keras_trials import code_facts
from orchestrator.experiment.kinds.objective import settled
from orchestrator.experiment.warm_start import find_ancestor
from orchestrator.records import RunFolder
from orchestrator.redaction import concealed
from orchestrator.schedulers import make_scheduler
from orchestrator.search import Plan, make_plan
from orchestrator.trials import Trainable
from orchestrator.trials.function import FunctionJob
from orchestrator.trials.interpreter import Interpreter, InterpreterJob, find_interpreter


@dataclass(frozen=True)
class FunctionTrials:
    """The function that each trial calls, in an ``interpreter`` of the user's where one is named."""

    function: CallableReference
    interpreter: Interpreter | None = field(default=None, kw_only=True)

    def job(self, experiment: Experiment, plan: Plan, folder: RunFolder) -> Trainable:
        """Return what the workers are given."""
        about = reporting(self.function.text, experiment, plan, folder)
        if self.interpreter is None:
            return FunctionJob(function=self.function, **about)
        return InterpreterJob(
            file=Path(self.function.place),
            function=self.function.function,
            python=self.interpreter.path,
            **about,
        )

    def surroundings(self) -> dict[str, Any]:
        """Return what trials must have in common to be compared: the function's code; and what runs it."""
        python = {"python": asdict(self.interpreter)} if self.interpreter else {}
        return {"trial": code_facts(self.function) | python}

    def facts(self) -> dict[str, Any]:
        """Return the task as the run's record has it: the function alone knows it."""
        return {"kind": None, "baseline": {}, "said": list(self.sentences())}

    def sentences(self) -> Iterator[str]:
        """Yield what a trial is."""
        by = f" in Python {self.interpreter.version}" if self.interpreter else ""
        yield f"trial: a call of {self.function.text}{by}, which brings its own model and data"


def reporting(text: str, experiment: Experiment, plan: Plan, folder: RunFolder) -> dict[str, Any]:
    """Return what every job of trials that report is given: ReportingJob's fields."""
    scheduler = make_scheduler(plan.scheduler, plan.epochs, plan.mode)
    return {
        "kind": experiment.kind,
        "text": text,
        "home": folder.path.resolve(),
        "epochs": plan.epochs,
        "metric": plan.metric,
        "mode": plan.mode,
        "milestones": frozenset(scheduler.milestones),
        "secrets": concealed(),
        "nursery": plan.nursery,
    }


def planned(experiment: Experiment, space: Space, place: PlaceCheck) -> tuple[Experiment, Plan]:
    """Return the experiment of trials that report with its direction in it, and its plan."""
    experiment = settled(experiment, None, None)
    plan = make_plan(experiment, space, find_ancestor(experiment))
    place(plan)
    check_schedule(plan)
    return experiment, replace(plan, mode=experiment.direction or plan.mode)


def check_schedule(plan: Plan) -> None:
    """Refuse a planned change of what the trial does not start with: nothing else can be read anew."""
    known = {name for spec in plan.points[:1] for name in spec.hyperparameters}
    for epoch, changes in plan.schedule:
        for name in changes:
            if name not in known:
                expected = "expected a hyperparameter that panda.start gives the trial"
                where = f"panda.schedule, epoch {epoch}"
                raise ExperimentFileError(explain(where, expected, name, known))


def interpreter_of(experiment: Experiment) -> Interpreter | None:
    """Return the Python of the user's that trials run in, where they have one. Raises as ``find_interpreter``."""
    python = experiment.trial.interpreter if experiment.trial else None
    where = experiment.places.where(("trial", "python"))
    return find_interpreter(python, experiment.folder, where) if python else None


def prepare_function(
    experiment: Experiment, space: Space, given: Given, place: PlaceCheck
) -> tuple[Experiment, Plan, FunctionTrials]:
    """Check what an experiment of a user's function refers to, and plan it."""
    function = given.trial or find_trial(experiment.trial, experiment.folder)
    interpreter = interpreter_of(experiment)
    if interpreter is not None and function.kind != "file":
        expected = "expected a function in a file beside trial.python, such as ./train.py:train"
        raise ExperimentFileError(explain("trial.function", expected, function.text))
    return *planned(experiment, space, place), FunctionTrials(function, interpreter=interpreter)
