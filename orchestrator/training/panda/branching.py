"""A branch: a new trial with the days of this one up to the fork."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.errors import RequestError
from orchestrator.records.requests import Request
from orchestrator.training.checkpoint import Checkpoint
from orchestrator.training.panda.days import DayCheckpoints

if TYPE_CHECKING:
    from orchestrator.training.panda.session import PandaSession


def branch_off(panda: PandaSession, request: Request) -> None:
    """Let a new trial start from the end of one of this panda's days.

    It is given those days as files of its own, so that whatever this panda does next, the branch has its fork and all
    that it may be rolled back to.
    """
    name, changes = request.arguments["name"], dict(request.arguments.get("changes") or {})
    asked = request.arguments.get("at_day")
    day = panda.memory.day if asked is None else asked
    fork = panda.days.load(day, panda.memory.day)
    panda.trainer.check_change(changes)
    home = DayCheckpoints(panda.goal.checkpoints / name)
    if not home.claim(request.id):
        raise RequestError(f"{name}: expected a name that no trial of the run has. Received: that.")
    panda.days.lend(home, day)
    panda.progress.branches.append(
        {
            "trial": name,
            "checkpoint": str(home.file(day)),
            "changes": changes,
            **_inherited(panda, fork, changes),
        }
    )
    in_force = fork.about["in_force"]
    panda.note(
        "applied",
        request=request.id,
        by=request.who,
        action="branch",
        branch=name,
        changes={name: [in_force.get(name), value] for name, value in changes.items()},
        to_day=day,
    )


def _inherited(panda: PandaSession, fork: Checkpoint, changes: dict[str, Any]) -> dict[str, Any]:
    """Return what a branch is by its fork: seed, hyperparameters, origin."""
    about = fork.about
    return {
        "seed": about["seed"],
        "hyperparameters": {**about["chosen"], **changes},
        "origin": {
            "run": None,
            "trial": panda.trial,
            "day": int(about["panda"]["day"]),
            "epoch": int(about["epoch"]),
            "stretch": panda.memory.stretch,
        },
    }
