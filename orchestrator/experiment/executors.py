"""What carries a plan's trials out: Ray Tune on warm workers, or this process, one trial after another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from orchestrator.errors import UnknownNameError, explain
from orchestrator.experiment.place import PlaceCheck, check_place
from orchestrator.search import Plan

if TYPE_CHECKING:
    from orchestrator.trials import Trainable
    from orchestrator.tuning.protocol import Listener, Outcome, Sitting


class RunPlan(Protocol):
    """Runs every trial of a plan, tells the listener what happens, and has the winner examined."""

    def __call__(
        self, plan: Plan, job: Trainable, listener: Listener, sitting: Sitting, /
    ) -> Outcome:
        """Return how it went."""


@dataclass(frozen=True)
class Executor:
    """``check_place`` refuses a plan that could not run; ``uses_terminal`` says that trials print and read there."""

    run_plan: RunPlan
    check_place: PlaceCheck
    begins: str
    uses_terminal: bool = False


ExecutorName = Literal["tune", "inline"]


def find_executor(asked: ExecutorName | RunPlan) -> Executor:
    """Return an executor by its name, or one that runs plans by the function given."""
    if callable(asked):
        return Executor(asked, lambda plan: None, "training")
    if asked not in EXECUTORS:
        raise UnknownNameError(
            explain("executor", "expected how trials are run", asked, list(EXECUTORS))
        )
    return EXECUTORS[asked]


def _run_on_tune(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    from orchestrator.tuning.tune import run_plan  # Ray takes a second to import

    return run_plan(plan, job, listener, sitting)


def _run_inline(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    from orchestrator.tuning.inline import run_plan

    return run_plan(plan, job, listener, sitting)


EXECUTORS = {
    "tune": Executor(_run_on_tune, check_place, "starting Ray for"),
    "inline": Executor(_run_inline, lambda plan: None, "in this process:", uses_terminal=True),
}
