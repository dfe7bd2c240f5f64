"""What becomes of a request: applied between two epochs, or refused with its reason; both are journaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError, TrialError
from orchestrator.records.requests import Request
from orchestrator.training.panda.memory import forecast

if TYPE_CHECKING:
    from orchestrator.training.panda.session import PandaSession


class Answers:
    """Answers requests to one panda."""

    def __init__(self, panda: PandaSession) -> None:
        self._panda = panda

    def answer(self, request: Request) -> None:
        """Deal with a request, now or, if it is for a later day, when that day begins."""
        panda = self._panda
        if request.id not in panda.memory.asked:
            panda.memory.asked.append(request.id)
            panda.note(
                "asked",
                request=request.id,
                action=request.action,
                arguments=dict(request.arguments),
                who=request.who,
                why=request.why,
                at_day=request.at_day,
            )
        if request.at_day is not None and panda.memory.day < request.at_day - 1:
            return
        panda.memory.handled.append(request.id)
        try:
            self._check_expected(request)
            self._apply(request)
        except OrchestratorError as error:
            panda.note("refused", request=request.id, action=request.action, reason=str(error))

    def apply_schedule(self) -> None:
        """Apply what the plan has scheduled for this many finished epochs."""
        panda = self._panda
        for epoch, changes in panda.nursery.schedule[panda.memory.scheduled :]:
            if epoch > panda.trainer.epoch:
                return
            panda.memory.scheduled += 1
            self.change(changes, by="schedule")

    def change(self, changes: Mapping[str, Any], by: str, request: str | None = None) -> None:
        """Put new values in force and journal old and new."""
        panda = self._panda
        before = dict(panda.trainer.hyperparameters)
        how = panda.trainer.change(changes)
        memory = panda.memory
        memory.changed += [name for name in changes if name not in memory.changed]
        panda.sitter.changed(changes)
        panda.note(
            "applied",
            request=request,
            by=by,
            action="set",
            changes={name: [before.get(name), value] for name, value in changes.items()},
            how=how,
        )
        self.await_effect(request=request, by=by)

    def await_effect(self, **of: Any) -> None:
        """Remember to tell, at the end of the coming day, what a change did."""
        panda = self._panda
        values = [day["metrics"][panda.goal.metric] for day in panda.memory.days]
        panda.memory.effects.append(
            {
                **of,
                "of_day": panda.memory.day + 1,
                "metric": panda.goal.metric,
                "before": values[-1] if values else None,
                "expected": forecast(values),
            }
        )

    def roll_back(self, arguments: Mapping[str, Any], by: str, request: str | None = None) -> None:
        """Return to a day's end, or to the epoch at one."""
        panda = self._panda
        if arguments.get("to_epoch") is not None:
            checkpoint = panda.days.of_epoch(int(arguments["to_epoch"]))
        else:
            checkpoint = panda.days.load(int(arguments["to_day"]))
        left = {"from_epoch": panda.trainer.epoch, "from_day": panda.memory.day}
        before = dict(panda.trainer.hyperparameters)
        panda.go_back(checkpoint)
        after = panda.trainer.hyperparameters
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        panda.note(
            "applied",
            request=request,
            by=by,
            action="rollback",
            changes={name: [before.get(name), after.get(name)] for name in sorted(names)},
            to_day=panda.memory.day,
            to_epoch=panda.trainer.epoch,
            **left,
        )

    def _apply(self, request: Request) -> None:
        panda, arguments = self._panda, request.arguments
        match request.action:
            case "set":
                self.change(arguments["changes"], by=request.who, request=request.id)
                return
            case "rollback":
                self.roll_back(arguments, by=request.who, request=request.id)
                return
            case "branch":
                self._branch(request)
                return
            case "pause" | "continue":
                panda.paused = request.action == "pause"
            case "stop":
                panda.ended = panda.progress.stopped = True
        panda.note(
            "applied",
            request=request.id,
            by=request.who,
            action=request.action,
            changes={},
            how=None,
        )

    def _branch(self, request: Request) -> None:
        """Let a new trial start from one of this panda's days."""
        panda, arguments = self._panda, request.arguments
        day = arguments.get("at_day")
        day = panda.memory.day if day is None else int(day)
        origin = panda.days.load(day)
        changes = dict(arguments.get("changes") or {})
        in_force = origin.about["hyperparameters"]
        panda.progress.branches.append(
            {
                "trial": arguments["name"],
                "seed": origin.about["seed"],
                "hyperparameters": {**origin.about["chosen"], **changes},
                "checkpoint": str(panda.days.file(day)),
                "changes": changes,
                "origin": {
                    "run": None,
                    "trial": panda.trial,
                    "day": day,
                    "epoch": int(origin.about["epoch"]),
                    "stretch": int(origin.about["panda"]["stretch"]),
                },
            }
        )
        panda.note(
            "applied",
            request=request.id,
            by=request.who,
            action="branch",
            branch=arguments["name"],
            changes={name: [in_force.get(name), value] for name, value in changes.items()},
            to_day=day,
        )

    def _check_expected(self, request: Request) -> None:
        in_force = self._panda.trainer.hyperparameters
        for name, value in request.expect.items():
            if in_force.get(name) != value:
                raise TrialError(
                    f"{name}: expected {value!r} in force, as asked. Received: {in_force.get(name)!r},"
                    " since it was changed meanwhile."
                )
