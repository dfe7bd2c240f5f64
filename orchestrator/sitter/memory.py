"""All that a sitter knows: a frozen value that survives JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class DaySeen:
    """One day's end as the rules look at it; ``score`` is the metric, larger being better.

    ``good`` says that it had not diverged and had learnt something.
    """

    day: int
    epoch: int
    score: float | None = None
    loss: float | None = None
    val_loss: float | None = None
    good: bool = True


@dataclass(frozen=True)
class Memory:
    """What was seen of the model (rolled back with it) and what was spent on it (never is).

    ``reference`` is the score from which a gain is counted and ``since`` the day from which
    patience is; ``returned_to`` is the day that the last divergence went back to; ``branched`` says
    that branches were tried since the last gain, ``diverged`` and ``overfitting`` that the present
    state was reported.
    """

    learning_rate: float | None = None
    first_loss: float | None = None
    best_loss: float | None = None
    losses: tuple[float, ...] = ()
    diverged: bool = False
    days: tuple[DaySeen, ...] = ()
    reference: float | None = None
    since: int = 0
    branched: bool = False
    overfitting: bool = False
    returned_to: int | None = None
    rollbacks: int = 0
    reductions: int = 0
    branched_epochs: int = 0

    @property
    def today(self) -> int:
        """The number of the last day that ended, 0 before the first."""
        return self.days[-1].day if self.days else 0

    @property
    def days_waited(self) -> int:
        """How many days have ended since patience began."""
        return sum(day.day > self.since for day in self.days)

    @property
    def best_day(self) -> DaySeen | None:
        """The day with the best score, of several that with the lowest validation loss, then the first."""
        scored = [day for day in self.days if day.score is not None]
        return min(scored, key=_rank, default=None)

    @property
    def last_good_day(self) -> int:
        """The last good day; 0, before training, where there is none.

        A day that was gone back to and diverged again before the next one ended is not one: its
        loss was finite, but its weights were on the way out. The day before it is tried then.
        """
        good = [day.day for day in self.days if day.good]
        if good and good[-1] == self.returned_to:
            good.pop()
        return good[-1] if good else 0


def _rank(day: DaySeen) -> tuple[float, float, int]:
    """Return what sorts the best day first, by the same rule as epochs (``records.best``)."""
    score = -math.inf if day.score is None else day.score
    return (-score, math.inf if day.val_loss is None else day.val_loss, day.day)


def to_plain(memory: Memory) -> dict[str, Any]:
    """Return the memory as JSON has it: finite numbers, texts, lists and mappings."""
    plain = asdict(memory)
    return {**plain, "losses": list(plain["losses"]), "days": list(plain["days"])}


def from_plain(plain: Mapping[str, Any]) -> Memory:
    """Return the memory that ``to_plain`` wrote, by whatever version: what is missing has its default."""
    days = tuple(DaySeen(**known(DaySeen, day)) for day in plain.get("days", ()))
    losses = tuple(plain.get("losses", ()))
    return Memory(**known(Memory, plain) | {"days": days, "losses": losses})


def known(kind: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values that a dataclass has a field for: another version may have written others."""
    names = {item.name for item in fields(kind)}
    return {name: value for name, value in values.items() if name in names}


def number(value: Any) -> float | None:
    """Return ``value`` as a finite number, or None."""
    try:
        as_float = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return as_float if math.isfinite(as_float) else None
