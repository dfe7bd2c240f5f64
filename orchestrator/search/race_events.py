"""What a search writes down of its race: whatever it decided, and who races by which rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
