"""What the journal of a babysat model says: its entries, and the values in force after them.

What an entry has is declared in ``orchestrator.records.events``.

A rollback begins a new stretch, whose number its ``applied`` entry and the epochs after it carry.
What an earlier stretch trained beyond the point of return is abandoned: kept, but no longer what
the model's weights come from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.records.events import JournalEntry

Entry = Mapping[str, Any]


def told_once(entries: Iterable[JournalEntry]) -> tuple[JournalEntry, ...]:
    """Return the entries without those that a resumed trainer told again: the first of an id counts."""
    found: dict[object, JournalEntry] = {}
    for number, entry in enumerate(entries):
        found.setdefault(entry.get("id") or number, entry)
    return tuple(found.values())


def stretch_of(line: Entry) -> int:
    """Return the stretch a row or an entry belongs to; the first is 0."""
    return int(line.get("stretch") or 0)


def is_rollback(entry: Entry) -> bool:
    """Return whether an entry tells of a rollback done."""
    return entry["kind"] == "applied" and entry.get("action") == "rollback"


def in_force_after(
    start: Mapping[str, Any], entries: Iterable[Entry], history: Iterable[Entry] = ()
) -> dict[str, Any]:
    """Return the hyperparameters in force after one trial's ``entries``, begun with ``start``.

    ``history`` are the days that a branch shares with its parent: it may be rolled back to them.
    """
    force = dict(start)
    at_day: dict[int, Mapping[str, Any]] = {0: dict(start)}
    for day in history:
        at_day[int(day["day"])] = day.get("hyperparameters") or start
    at_day[max(at_day)] = dict(
        start
    )  # a branch's fork is its own, with the changes it was born with
    for entry in entries:
        if entry["kind"] == "day":
            force = dict(entry.get("hyperparameters") or force)
            at_day[int(entry["day"])] = dict(force)
        elif entry["kind"] == "applied" and not _made_another_branch(entry):
            if is_rollback(entry):
                force = dict(at_day.get(day_returned_to(entry), force))
            force |= changed_to(entry)
    return force


def changed_to(entry: Entry) -> dict[str, Any]:
    """Return the new values of the hyperparameters that an entry changed."""
    return {name: new for name, (_, new) in (entry.get("changes") or {}).items()}


def _made_another_branch(entry: Entry) -> bool:
    """Return whether an entry's changes are those of a branch made, not of its own trial."""
    return entry.get("action") == "branch" and entry.get("branch") != entry["trial"]


def day_returned_to(entry: Entry) -> int:
    """Return the last day kept by a rollback."""
    return int(entry["day"] if entry.get("to_day") is None else entry["to_day"])
