"""What becomes of a request: applied between two epochs, or refused with its reason; both are journaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.errors import OrchestratorError, RequestError, explain
from orchestrator.records.line_fields import SAFE_NAME
from orchestrator.records.requests import Request
from orchestrator.sitter import after_change
from orchestrator.trials.panda.state import Panda, PandaState, note


def handle(request: Request, state: PandaState, panda: Panda) -> PandaState:
    """Deal with a request, now or, if it is for a later day, when that day begins; return the state after it."""
    if request.id not in state.asked:
        state = _note_asked(request, state, panda)
    handled = replace(state, handled=(*state.handled, request.id))
    try:
        check_understood(request)
        if _waits(request, state, panda):
            return state
        _check_in_time(request, state, panda)
        _check_expected(request, panda)
        return _apply(request, handled, panda)
    except OrchestratorError as error:
        reason = " ".join(str(error).split())
        facts = {"request": request.id, "action": request.action, "reason": reason}
        return note(handled, panda, "refused", **facts)


def apply_schedule(state: PandaState, panda: Panda) -> PandaState:
    """Apply what the plan has scheduled for this many finished epochs.

    What was applied before a rollback is applied again, but for what somebody has set since: that was the answer to it.
    """
    for epoch, changes in panda.nursery.schedule[state.scheduled :]:
        if epoch > panda.model.epoch:
            break
        again = state.scheduled < state.scheduled_before
        state = replace(state, scheduled=state.scheduled + 1)
        held = [name for name in changes if again and name in state.set_since]
        due = {name: value for name, value in changes.items() if name not in held}
        if held:
            what = ", ".join(f"{name} {changes[name]!r}" for name in held)
            reason = f"{what} of epoch {epoch}: it was set otherwise since the rollback"
            facts = {"request": None, "by": "schedule", "action": "set", "reason": reason}
            state = note(state, panda, "refused", **facts)
        if due:
            state = _by_schedule(state, panda, due)
    return state


def _by_schedule(state: PandaState, panda: Panda, due: Mapping[str, Any]) -> PandaState:
    """Apply planned changes, or journal why they cannot be: what trains is not in a state for them."""
    try:
        return change(state, panda, due, by="schedule")
    except RequestError as error:
        facts = {"request": None, "by": "schedule", "action": "set", "reason": str(error)}
        return note(state, panda, "refused", **facts)


def change(
    state: PandaState, panda: Panda, changes: Mapping[str, Any], by: str, **facts: Any
) -> PandaState:
    """Set new values and journal old and new."""
    before = dict(panda.model.hyperparameters)
    how = panda.model.change(changes)
    new = tuple(name for name in changes if name not in state.changed)
    state = replace(
        state, changed=(*state.changed, *new), monitor=after_change(state.monitor, changes)
    )
    if by != "schedule":
        state = replace(state, set_since=tuple(dict.fromkeys((*state.set_since, *changes))))
    old_and_new = {name: [before.get(name), value] for name, value in changes.items()}
    entry = {"request": None, "by": by, "action": "set", **facts}
    state = note(state, panda, "applied", **entry, changes=old_and_new, how=how)
    return state.track_effect(entry["request"], by, panda.objective.metric)


def rollback(
    state: PandaState, panda: Panda, to: Mapping[str, Any], by: str, request: str | None = None
) -> PandaState:
    """Return to the end of the day ``to_day``, or of the day that ends with the epoch ``to_epoch``.

    Weights, slots, averages, generators and what is remembered are those of then, the sitter's memory included.
    """
    model, days, epoch = panda.model, panda.days, to.get("to_epoch")
    if epoch is not None:
        target = days.of_epoch(int(epoch), state.day)
    else:
        target = days.load(int(to.get("to_day") or 0), state.day)
    left = {"from_epoch": model.epoch, "from_day": state.day}
    before = dict(model.hyperparameters)
    earlier = PandaState.from_about(target.about)
    model.check_going_on(target, {})
    model.resume(target)
    had_best = days.restore_best(earlier.day, panda.best_file)
    state = state.rolled_back_to(earlier if had_best else replace(earlier, best=None))
    after = model.hyperparameters
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return note(
        state,
        panda,
        "applied",
        request=request,
        by=by,
        action="rollback",
        changes={name: [before.get(name), after.get(name)] for name in sorted(names)},
        to_day=state.day,
        to_epoch=model.epoch,
        **left,
    )


def branch(request: Request, state: PandaState, panda: Panda) -> PandaState:
    """Let a new trial start from the end of one of this panda's days.

    It is given those days as files of its own, so that whatever this panda does next, the branch has its fork and all
    that it may be rolled back to.
    """
    name, changes = request.arguments["name"], dict(request.arguments.get("changes") or {})
    asked = request.arguments.get("at_day")
    day = state.day if asked is None else asked
    end = panda.days.load(day, state.day)
    panda.model.check_going_on(end, changes)
    fork = end.about
    home = panda.objective.states.days(name)
    if not home.reserve(request.id):
        raise RequestError(f"{name}: expected a name that no trial of the run has. Received: that.")
    panda.objective.states.share(panda.trial, name, day)
    panda.progress.branches.append(
        {
            "trial": name,
            "checkpoint": str(home.file(day)),
            "changes": changes,
            "seed": fork["seed"],
            "hyperparameters": {**fork["chosen"], **changes},
            "origin": {
                "run": None,
                "trial": panda.trial,
                "day": int(fork["panda"]["day"]),
                "epoch": int(fork["epoch"]),
                "stretch": state.segment,
            },
        }
    )
    old_and_new = {name: [fork["in_force"].get(name), value] for name, value in changes.items()}
    facts = {"branch": name, "changes": old_and_new, "to_day": day}
    return _note_applied(request, state, panda, **facts)


def check_understood(request: Request) -> None:
    """Raise RequestError where a request's day or arguments are invalid: anyone can put a file there."""
    arguments = request.arguments
    _check_day("at_day", request.at_day)
    match request.action:
        case "set":
            _check_changes(arguments.get("changes"))
            if not arguments["changes"]:
                raise RequestError("set: expected at least one name=value. Received: nothing.")
        case "rollback":
            points = [arguments.get(name) for name in ("to_day", "to_epoch")]
            if points.count(None) != 1:
                raise RequestError("rollback: expected either to_day or to_epoch.")
            _check_day("to_day", points[0])
            _check_day("to_epoch", points[1])
        case "branch":
            name = arguments.get("name")
            if not isinstance(name, str) or not SAFE_NAME.fullmatch(name):
                expected = "expected letters, digits, '.', '_' and '-', not starting with '.'"
                raise RequestError(explain("name", expected, name))
            _check_day("at_day", arguments.get("at_day"))
            _check_changes(arguments.get("changes") or {})


def _apply(request: Request, state: PandaState, panda: Panda) -> PandaState:
    arguments, by = request.arguments, {"by": request.who, "request": request.id}
    match request.action:
        case "set":
            return change(state, panda, arguments["changes"], **by)
        case "rollback":
            return rollback(state, panda, arguments, **by)
        case "branch":
            return branch(request, state, panda)
        case "pause" | "continue":
            state = replace(state, paused=request.action == "pause")
        case "stop":
            state = replace(state, ending="stopped")
    return _note_applied(request, state, panda, changes={}, how=None)


def _note_asked(request: Request, state: PandaState, panda: Panda) -> PandaState:
    return note(
        replace(state, asked=(*state.asked, request.id)),
        panda,
        "asked",
        request=request.id,
        action=request.action,
        arguments=dict(request.arguments),
        who=request.who,
        why=request.why,
        at_day=request.at_day,
    )


def _note_applied(request: Request, state: PandaState, panda: Panda, **facts: Any) -> PandaState:
    answered = {"request": request.id, "by": request.who, "action": request.action}
    return note(state, panda, "applied", **answered, **facts)


def _waits(request: Request, state: PandaState, panda: Panda) -> bool:
    """Return whether a request is for a day that is still to come."""
    day = request.at_day
    return day is not None and state.day < day - 1 and not panda.is_over(state)


def _check_in_time(request: Request, state: PandaState, panda: Panda) -> None:
    """Refuse what needs further training once the panda is over; until that is reported, it may be rolled back."""
    if not panda.is_over(state) or request.action in ("branch", "note"):
        return
    if request.action == "rollback" and state.ending is None and request.at_day is None:
        return
    raise RequestError(
        f"{request.action}: expected a panda in training. Received: one that ended on day {state.day}."
    )


def _check_expected(request: Request, panda: Panda) -> None:
    current = panda.model.hyperparameters
    for name, value in request.expect.items():
        if current.get(name) != value:
            raise RequestError(
                f"{name}: expected {value!r} in force, as asked. Received: {current.get(name)!r},"
                " since it was changed meanwhile."
            )


def _check_day(where: str, day: Any) -> None:
    if day is not None and (isinstance(day, bool) or not isinstance(day, int) or day < 0):
        raise RequestError(explain(where, "expected a whole number of at least 0", day))


def _check_changes(changes: Any) -> None:
    if not isinstance(changes, Mapping):
        raise RequestError(explain("changes", "expected new values by name", changes))
