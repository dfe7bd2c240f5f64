"""When a run was worked on, as its events tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

STATUS_AFTER = {
    "run_started": "running",
    "run_finished": "finished",
    "run_interrupted": "interrupted",
    "extended": "interrupted",  # and not begun yet
}


def seconds_worked(events: Iterable[Mapping[str, Any]], last_time: Callable[[], str]) -> float:
    """Return the wall-clock seconds between starts and ends; a run without an end ends at ``last_time``."""
    total, since = 0.0, None
    for event in events:
        if event["event"] == "run_started":
            since = event["time"]
        elif event["event"] in STATUS_AFTER and since is not None:
            total += _seconds_between(since, event["time"])
            since = None
    return total if since is None else total + _seconds_between(since, last_time())


def _seconds_between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
