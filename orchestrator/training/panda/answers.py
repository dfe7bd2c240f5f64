"""What becomes of a request: applied between two epochs, or refused with its reason; both are journaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError, RequestError
from orchestrator.records.requests import Request
from orchestrator.training.panda.branching import branch_off
from orchestrator.training.panda.understanding import check_understood

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
        try:
            check_understood(request)
            if self._waits(request):
                return
            panda.memory.handled.append(request.id)
            self._check_in_time(request)
            self._check_expected(request)
            self._apply(request)
        except OrchestratorError as error:
            if request.id not in panda.memory.handled:
                panda.memory.handled.append(request.id)
            reason = " ".join(str(error).split())
            panda.note("refused", request=request.id, action=request.action, reason=reason)

    def _waits(self, request: Request) -> bool:
        """Return whether a request is for a day that is still to come."""
        panda, day = self._panda, request.at_day
        return day is not None and panda.memory.day < day - 1 and not panda.is_over

    def _check_in_time(self, request: Request) -> None:
        """Refuse what needs another epoch of a panda that is over; before its end was told, it may be taken back."""
        panda = self._panda
        if not panda.is_over or request.action in ("branch", "note"):
            return
        if request.action == "rollback" and panda.ending is None and request.at_day is None:
            return
        raise RequestError(
            f"{request.action}: expected a panda in training. Received: one that ended on day {panda.memory.day}."
        )

    def apply_schedule(self) -> None:
        """Apply what the plan has scheduled for this many finished epochs."""
        panda = self._panda
        for epoch, changes in panda.nursery.schedule[panda.memory.scheduled :]:
            if epoch > panda.trainer.epoch:
                return
            panda.memory.scheduled += 1
            panda.change(changes, by="schedule")

    def roll_back(self, arguments: Mapping[str, Any], by: str, request: str | None = None) -> None:
        """Return to a day's end, or to the epoch at one."""
        panda = self._panda
        today, epoch, day = panda.memory.day, arguments.get("to_epoch"), arguments.get("to_day")
        if epoch is not None:
            checkpoint = panda.days.of_epoch(int(epoch), today)
        else:
            checkpoint = panda.days.load(int(day or 0), today)
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
                panda.change(arguments["changes"], by=request.who, request=request.id)
                return
            case "rollback":
                self.roll_back(arguments, by=request.who, request=request.id)
                return
            case "branch":
                branch_off(panda, request)
                return
            case "pause" | "continue":
                panda.paused = request.action == "pause"
            case "stop":
                panda.ending = "stopped"
        panda.note(
            "applied",
            request=request.id,
            by=request.who,
            action=request.action,
            changes={},
            how=None,
        )

    def _check_expected(self, request: Request) -> None:
        in_force = self._panda.trainer.hyperparameters
        for name, value in request.expect.items():
            if in_force.get(name) != value:
                raise RequestError(
                    f"{name}: expected {value!r} in force, as asked. Received: {in_force.get(name)!r},"
                    " since it was changed meanwhile."
                )
