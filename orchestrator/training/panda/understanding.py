"""Whether a request says what its action needs. Anyone can put a file there, so anything may stand in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.errors import RequestError, explain
from orchestrator.records.events import SAFE_NAME
from orchestrator.records.requests import Request


def check_understood(request: Request) -> None:
    """Raise RequestError where a request's day or arguments are none."""
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


def _check_day(where: str, day: Any) -> None:
    if day is not None and (isinstance(day, bool) or not isinstance(day, int) or day < 0):
        raise RequestError(explain(where, "expected a whole number of at least 0", day))


def _check_changes(changes: Any) -> None:
    if not isinstance(changes, Mapping):
        raise RequestError(explain("changes", "expected new values by name", changes))
