"""What a rule of the sitter is: its options, what it is shown, what it remembers and what it finds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, Literal

from orchestrator.fields import Options

Action = Literal["none", "rollback", "stop", "branch_and_compare"]


@dataclass(frozen=True)
class DayRecord:
    """A day's end: its number, the epochs finished by then, their last metrics, what was in force.

    Day 0 is the untrained model. Showing it is worth an evaluation: with its ``loss`` a divergence
    in the very first epoch is seen, with its metric a model that never learnt anything is.
    """

    day: int
    epoch: int
    metrics: Mapping[str, Any]
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing a rule saw, the numbers it rests on, and what would be done about it.

    ``to_day`` is the day meant by ``to`` (0: before training); ``changes`` holds new values;
    ``candidates`` holds the learning rates that ``branch_and_compare`` tries, for ``epochs`` each.
    """

    rule: str
    text: str
    evidence: Mapping[str, Any]
    action: Action = "none"
    to: Literal["last_good_day", "best"] | None = None
    to_day: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[float, ...] = ()
    epochs: int = 0
    verdict: str | None = None


@dataclass(frozen=True)
class DaySeen:
    """One day's end as the rules look at it; ``score`` is the metric, larger being better.

    ``good`` says that it had not diverged and had learnt something, ``learning_rate`` which α was in force.
    """

    day: int
    epoch: int
    score: float | None = None
    loss: float | None = None
    val_loss: float | None = None
    good: bool = True
    learning_rate: float | None = None


@dataclass(frozen=True)
class Memory:
    """What was seen of the model (rolled back with it) and what was spent on it (never is).

    ``reference`` is the score from which a gain is counted and ``since`` the day from which
    patience is; ``returned_to`` is the day that the last divergence went back to; ``branched`` says
    that branches were tried since the last gain, ``diverged`` and ``overfitting`` that the present
    state was reported. ``counts`` is for what further rules have spent, by the rule's name.
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
    counts: Mapping[str, int] = field(default_factory=dict)

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

    def learning_rate_on(self, number: int) -> float | None:
        """Return the α that was in force on a day, None where nobody wrote it down."""
        return next((day.learning_rate for day in self.days if day.day == number), None)


def _rank(day: DaySeen) -> tuple[float, float, int]:
    """Return what sorts the best day first, by the same rule as epochs (``records.best``)."""
    score = -math.inf if day.score is None else day.score
    return (-score, math.inf if day.val_loss is None else day.val_loss, day.day)


@dataclass(frozen=True)
class Watched:
    """What is watched, and how: ``metric_mode`` says whether ``metric`` is better when it is larger (max) or smaller.

    ``patience`` is the sitter's, in days; ``acts`` says that what a rule finds is done. ``budget_epochs`` is how long
    the model is to train, None where nobody knows.
    """

    metric: str
    metric_mode: str
    validation_rows: int
    patience: int
    acts: bool
    budget_epochs: int | None = None


Looked = tuple[Memory, "Finding | None"]
"""What is remembered from now on, and what was found."""


class RuleOptions(Options):
    """The thresholds of one rule, and what it makes of an epoch and of a day; each is pure.

    A rule that acts needs a limit to that: what it has spent survives the rollbacks that the sitter asks for.
    """

    ON: ClassVar[bool] = True
    """Whether it looks without being asked for; one that does not is written ``on``, ``off`` or as its options."""

    def after_epoch(self, memory: Memory, metrics: Mapping[str, Any], watched: Watched) -> Looked:
        """Look at an epoch's metrics."""
        return memory, None

    def after_day(self, memory: Memory, day: DayRecord, watched: Watched) -> Looked:
        """Look at the days up to this one, the last of ``memory.days``; day 0 is the untrained model."""
        return memory, None

    def instead_of(self, memory: Memory, found: Finding, watched: Watched) -> Looked:
        """Return what is to be tried first, instead of what another rule found."""
        return memory, None

    def done(self, memory: Memory, found: Finding) -> Memory:
        """Return the memory with what it costs to roll back or branch because of a finding of this rule."""
        return memory

    def needed_days(self, memory: Memory) -> frozenset[int]:
        """Return the days that this rule may go back to, besides day 0 and the best one."""
        return frozenset()


def to_plain(memory: Memory) -> dict[str, Any]:
    """Return the memory as JSON has it: finite numbers, texts, lists and mappings."""
    plain = asdict(memory)
    plain |= {"losses": list(plain["losses"]), "days": list(plain["days"])}
    return plain if memory.counts else {k: v for k, v in plain.items() if k != "counts"}


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
