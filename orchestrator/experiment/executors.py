"""What runs a plan's trials, Ray Tune or this process, and whether this machine has room for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from orchestrator.config import Experiment
from orchestrator.errors import PlaceError, UnknownNameError, explain
from orchestrator.experiment.ahead import server_of_forks
from orchestrator.search import Plan
from orchestrator.training.keras_setup import without_collecting
from orchestrator.tuning.machine import available_cores, visible_gpus
from orchestrator.tuning.ray_limits import check_ray_address

if TYPE_CHECKING:
    from orchestrator.trials import Trainable
    from orchestrator.tuning.protocol import Listener, Outcome, Phase, Sitting


PlaceCheck = Callable[[Plan], None]
"""Refuses a plan whose trials could not run where they are to."""


def check_place(plan: Plan) -> None:
    """Refuse a place that cannot hold a trial, or whose Ray cannot be joined."""
    check_resources(plan)
    check_ray_address()


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


class RunPlan(Protocol):
    """Runs every trial of a plan, tells the listener what happens, and has the winner examined."""

    def __call__(
        self, plan: Plan, job: Trainable, listener: Listener, sitting: Sitting, /
    ) -> Outcome:
        """Return how it went."""


@dataclass(frozen=True)
class Executor:
    """``check_place`` refuses a plan that could not run; ``uses_terminal`` says that trials print and read there.

    ``first`` is what happens first. ``ahead`` is what can begin before an experiment is checked, and yields what runs
    its plan.
    """

    run_plan: RunPlan
    check_place: PlaceCheck
    begins: str
    uses_terminal: bool = False
    first: Phase = "workers"
    ahead: Callable[[Experiment], AbstractContextManager[RunPlan]] | None = None

    @contextmanager
    def begun(self, experiment: Experiment) -> Iterator[Executor]:
        """Have what can begin ahead do so while the block runs; yield what goes on from there."""
        if self.ahead is None:
            yield self
            return
        with self.ahead(experiment) as run_plan:
            yield replace(self, run_plan=run_plan, ahead=None)


ExecutorName = Literal["tune", "inline"]


def find_executor(asked: ExecutorName | RunPlan) -> Executor:
    """Return an executor by its name, or one that runs plans by the function given."""
    if callable(asked):
        return Executor(asked, lambda plan: None, "training")
    if asked not in EXECUTORS:
        raise UnknownNameError(
            explain("executor", "expected how trials are run", asked, list(EXECUTORS))
        )
    found = EXECUTORS[asked]
    if found.uses_terminal:
        from orchestrator.report.live.notebook import in_notebook

        # What trials print stands in a cell's output, and the view in a block of its own.
        return replace(found, uses_terminal=not in_notebook())
    return found


def _run_on_tune(
    plan: Plan, job: Trainable, listener: Listener, sitting: Sitting, forks: Path | None = None
) -> Outcome:
    if plan.lanes is not None:
        from orchestrator.tuning.lanes import run_plan as run_lanes

        return run_lanes(plan, job, listener, sitting)
    with without_collecting():
        from orchestrator.tuning.tune import Engine, run_plan  # Ray takes a second to import

    return run_plan(plan, job, listener, sitting, Engine(forks))


@contextmanager
def _forks_for_tune(experiment: Experiment) -> Iterator[RunPlan]:
    """Have the process that Ray's workers are forked from import Keras, where they start here and will need it."""
    with server_of_forks(experiment.kind, experiment.backend) as forks:
        yield partial(_run_on_tune, forks=forks)


def _run_inline(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    from orchestrator.tuning.inline import run_plan

    return run_plan(plan, job, listener, sitting)


EXECUTORS = {
    "tune": Executor(
        _run_on_tune, check_place, "starting Ray for", first="ray", ahead=_forks_for_tune
    ),
    "inline": Executor(_run_inline, lambda plan: None, "in this process:", uses_terminal=True),
}
