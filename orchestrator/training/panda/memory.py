"""What a panda remembers besides its model: part of every checkpoint, so that going back goes all the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Memory:
    """Days finished, today's progress, what was in force and judged, what was asked.

    ``days`` holds one mapping {day, epoch, metrics, learning_rate} a finished day; ``effects`` the changes whose
    effect the coming day will show; ``handled`` and ``asked`` the ids of requests dealt with and journaled.
    ``scheduled`` counts the entries of the plan's schedule that were applied, ``changed`` names what was ever changed.
    """

    day: int = 0
    epochs_today: int = 0
    seconds_today: float = 0.0
    steps_today: int = 0
    stretch: int = 0
    scheduled: int = 0
    entries: int = 0
    tested: bool = False
    changed: list[str] = field(default_factory=list)
    handled: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    days: list[dict[str, Any]] = field(default_factory=list)
    effects: list[dict[str, Any]] = field(default_factory=list)
    sitter: dict[str, Any] = field(default_factory=dict)

    def to_plain(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Memory:
        """Return what ``to_plain`` gave."""
        return cls(**values)

    def gone_back_to(self, earlier: Memory) -> Memory:
        """Return ``earlier``, a rollback's point of return, with what no rollback takes back.

        Requests dealt with stay dealt with, and the journal's numbering and the stretches go on.
        """
        values = earlier.to_plain() | {
            "handled": self.handled,
            "asked": self.asked,
            "entries": self.entries,
            "stretch": self.stretch + 1,
            "effects": [],
        }
        return Memory.from_plain(values)

    def await_effect(self, request: str | None, by: str, metric: str) -> None:
        """Remember to tell, at the end of the coming day, what a change did."""
        values = [day["metrics"][metric] for day in self.days]
        self.effects.append(
            {
                "request": request,
                "by": by,
                "of_day": self.day + 1,
                "metric": metric,
                "before": values[-1] if values else None,
                "expected": forecast(values),
            }
        )

    def new_day(self) -> None:
        """Begin the next day."""
        self.day += 1
        self.epochs_today, self.seconds_today, self.steps_today = 0, 0.0, 0


def forecast(values: list[float]) -> float | None:
    """Return what the trend of the last three values would give next: their least-squares line, one step on."""
    recent = values[-3:]
    if not recent:
        return None
    if len(recent) == 1:
        return recent[0]
    middle = (len(recent) - 1) / 2
    mean = sum(recent) / len(recent)
    spread = sum((at - middle) ** 2 for at in range(len(recent)))
    slope = sum((at - middle) * (value - mean) for at, value in enumerate(recent)) / spread
    return mean + slope * (len(recent) - middle)
