"""What an extension of a run changed, and the groups of trials that a forced one sets apart.

An ``extended`` event is what makes an extension so: everything else about it follows from that line.

- changes: {key: [old, new]}, the keys as ``--set`` has them, the search space as one
- forced: what makes its trials incomparable with those before it; empty where they are comparable
- group: the group that trials started from then on belong to; the first is 1
- going_on: the finished trials that train further
- epochs_before: how many epochs were recorded by then
- now: the data and the model from then on, as in the manifest, where ``forced`` is not empty
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.records.best import Score

if TYPE_CHECKING:
    from orchestrator.records.trial import TrialRecord

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


def in_order(
    trials: Iterable[TrialRecord], score_of: Callable[[str], Score | None]
) -> tuple[TrialRecord, ...]:
    """Return trials best first, those of the newest group before older ones.

    Equal scores by order of drawing; those without a finite value last in their group.
    """

    def rank(trial: TrialRecord) -> tuple[Any, ...]:
        score = score_of(trial.trial)
        known = (False, score.rank) if score else (True, ())
        return (-trial.group, *known, trial.index, trial.trial)

    return tuple(sorted(trials, key=rank))
