"""What an extension of a run changed, and the groups of trials that a forced one sets apart (``events.Extended``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]


def extensions_in(events: Iterable[Event]) -> tuple[Event, ...]:
    """Return the ``extended`` events, oldest first."""
    return tuple(event for event in events if event["event"] == "extended")


def caught_up(experiment: Mapping[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """Return the experiment with the last extension in it: its file is rewritten after the event."""
    return with_changes(experiment, extensions_in(events)[-1:])


def with_changes(experiment: Mapping[str, Any], extensions: Iterable[Event]) -> dict[str, Any]:
    """Return the experiment as these extensions made it, one after another."""
    content = dict(experiment)
    for extension in extensions:
        for key, (_, new) in extension["changes"].items():
            section, _, name = key.partition(".")
            inside = content.get(section)
            inside = inside if isinstance(inside, dict) else {}
            content[section] = {**inside, name: new} if name else new
    return content


def surroundings(manifest: Mapping[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """Return the manifest with the data and the model that the newest group of trials has."""
    now = dict(manifest)
    for extension in extensions_in(events):
        now |= extension.get("now") or {}
    return now


def group_differences(events: Iterable[Event]) -> dict[int, tuple[str, ...]]:
    """Return, for each group after the first, what sets it apart from the one before it."""
    found: dict[int, tuple[str, ...]] = {}
    for extension in extensions_in(events):
        group = int(extension.get("group") or 1)
        if group > 1 and group not in found:
            found[group] = tuple(extension.get("forced") or ())
    return found


def last_winner(events: Sequence[Event]) -> dict[str, Any] | None:
    """Return the last ``winner`` event, None where the run was extended since."""
    for event in reversed(events):
        if event["event"] == "winner":
            return dict(event)
        if event["event"] == "extended":
            break
    return None
