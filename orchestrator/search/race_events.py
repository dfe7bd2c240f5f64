"""What a search writes down of its race: whatever it decided, and who races by which rules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.search.race import Verdict


@dataclass(frozen=True)
class News:
    """What a search has decided about its race: an event to be written down, and a sentence that says it."""

    event: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Race:
    """Who races, by which rules: the facts of a ``race_began`` event."""

    finalists: tuple[str, ...]
    seeds: int
    budget: int
    confidence: float
    first: int = 1
    folds: int | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return it as the fields of its event."""
        plain = {**vars(self), "finalists": list(self.finalists)}
        return {key: value for key, value in plain.items() if value is not None}

    @classmethod
    def from_plain(cls, event: Mapping[str, Any]) -> Race:
        """Return the race that an event tells of."""
        names = tuple(map(str, event["finalists"]))
        numbers = (int(event["seeds"]), int(event["budget"]))
        first, folds = int(event.get("first") or 1), event.get("folds")
        return cls(names, *numbers, float(event["confidence"]), first, folds)


def known_before(trial: str, first: int) -> News:
    """Return that a finalist is known before the race; its replicates are numbered from ``first``."""
    whatever = "whatever the trials in training give: it is trained again meanwhile"
    return News(
        "finalist_known", f"race: {trial} is in it, {whatever}", {"trial": trial, "first": first}
    )


def sentence(found: Verdict) -> str:
    """Return how a race ended."""
    if math.isnan(found.chance):
        return f"race: {found.winner} wins, since a replicate of each other finalist failed"
    if found.kind == "best":
        return f"race: {found.winner} is the best with a chance of {found.chance:.1%}"
    others = ", ".join(name for name in found.tied if name != found.winner)
    return f"race: {found.winner} and {others} are tied; take {found.winner}, the smaller or better of them"
