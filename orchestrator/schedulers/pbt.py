"""Population based training (Jaderberg et al. 2017): the worst make room for descendants of the best, now and then.

A trial stays one set of hyperparameters. Who is replaced ends, stopped; in its place begins a new trial, which goes on
from a better one's state with other hyperparameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from orchestrator.fields import Count, Real
from orchestrator.schedulers.scheduler import (
    CONTINUE,
    UNKNOWN,
    Copy,
    Decision,
    Forecast,
    Scheduler,
    SchedulerOptions,
    Ties,
    reported,
    score,
)

INTERVALS = 10
"""How many intervals ``auto`` makes of a trial."""


class PbtOptions(SchedulerOptions):
    """Population based training: at intervals the worst trials end, and changed copies of the best go on for them."""

    compares: ClassVar[bool] = False

    interval: Count | Literal["auto"] = Field(
        default="auto",
        description="How many epochs lie between two comparisons, at which each trial waits for all others. `auto`: a"
        " tenth of `epochs`.",
    )
    replaced: Real = Field(
        default=0.25,
        gt=0,
        le=0.5,
        description="What share of the population ends there; as many of the best are copied.",
    )
    factor: Real = Field(
        default=1.2,
        gt=1,
        description="A copy's hyperparameters are its original's, multiplied or divided by this; of momentum 1-β is.",
    )
    change: Annotated[tuple[str, ...], Field(strict=False)] | Literal["auto"] = Field(
        default="auto",
        description="Which hyperparameters of a copy are changed. `auto`: all ranges of the space whose values can"
        " change while a model trains.",
    )

    def every(self, epochs: int) -> int:
        """Return how many epochs an interval has."""
        return max(1, epochs // INTERVALS) if self.interval == "auto" else self.interval

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return it for trials of ``epochs`` epochs."""
        milestones = tuple(range(self.every(epochs), epochs, self.every(epochs)))
        return Pbt(milestones, self.replaced, mode)

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return all epochs of all trials: who is replaced has a copy train on."""
        return Forecast((), trials * epochs, float(trials * epochs))

    def fault(self, epochs: int) -> tuple[str, str, object] | None:
        """Refuse an interval after which nothing is left to train."""
        if self.every(epochs) < epochs:
            return None
        return (
            "interval",
            f"expected fewer than the {epochs} epochs that a trial trains",
            self.interval,
        )


@dataclass(frozen=True)
class _Arrival:
    key: tuple[float, ...]
    trial: str

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self.key[0])


class Pbt:
    """Pauses each trial at each interval's end until all members have come there or are over; then replaces the worst.

    So who is copied follows from values alone, not from their order. A member that ended before is replaced too.
    """

    name = "pbt"

    def __init__(self, milestones: tuple[int, ...], replaced: float, mode: str) -> None:
        self.milestones = milestones
        self._replaced = replaced
        self._mode = mode
        self._passed = 0
        self._members: set[str] = set()
        self._vacant = 0
        self._arrived: dict[str, _Arrival] = {}
        self._waiting: dict[str, int] = {}
        self._going_on: list[str] = []
        self._dropped: dict[str, Decision] = {}
        self._name_of: Callable[[int], str] = str
        self._size = 0
        self.copies: list[Copy] = []

    def populate(self, trials: int, name_of: Callable[[int], str]) -> None:
        """Take in how many are members at first, and how a trial of an index is called."""
        self._members, self._size, self._name_of = set(map(name_of, range(trials))), trials, name_of

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Pause a trial at an interval's end, until all have come there."""
        if epoch > self._waiting.get(trial, epoch):
            self._leaves(trial)
        if self._waiting.get(trial) == epoch:
            return Decision(stop=False, pause=True)
        if trial not in self._members or epoch != self._next:
            return CONTINUE
        self._arrived[trial] = _Arrival((-score(value, self._mode), *ties), trial)
        self._waiting[trial] = epoch
        self._replace()
        return Decision(stop=False, pause=True)

    def ended(self, trial: str) -> None:
        """Wait for a trial no more that comes to no further epoch; one that did not come has a place to fill."""
        self._waiting.pop(trial, None)
        self._going_on = [name for name in self._going_on if name != trial]
        if trial in self._members:
            self._members.discard(trial)
            self._arrived.pop(trial, None)
            self._vacant += 1
            self._replace()

    def passed(self, trial: str) -> None:
        """Take in that a trial goes on, whatever was decided."""
        self._leaves(trial)

    def promote(self) -> list[str]:
        """Return the members that go on, best first."""
        return list(self._going_on)

    def drop(self) -> Mapping[str, Decision]:
        """Return those that were replaced."""
        return dict(self._dropped)

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Decide nothing: a trial that waits in vain was not compared."""
        return {}

    @property
    def _next(self) -> int | None:
        """The epoch of the comparison that comes; None after the last."""
        return self.milestones[self._passed] if self._passed < len(self.milestones) else None

    def _leaves(self, trial: str) -> None:
        self._waiting.pop(trial, None)
        self._going_on = [name for name in self._going_on if name != trial]

    def _replace(self) -> None:
        """Compare the members once all have come: the worst are dropped, copies of the best take their places."""
        epoch = self._next
        if epoch is None or not self._members or self._members - self._arrived.keys():
            return
        ranked = sorted(self._arrived.values(), key=lambda each: (each.key, each.trial))
        share = math.floor(self._replaced * len(ranked))
        bad = sum(not each.is_finite for each in ranked)
        lost = min(max(share, bad), len(ranked) - 1)
        stay, go = ranked[: len(ranked) - lost], ranked[len(ranked) - lost :]
        cutoff = reported(-stay[-1].key[0], self._mode)
        self._dropped |= {each.trial: Decision(stop=True, cutoff=cutoff) for each in go}
        donors = tuple(each.trial for each in stay[: max(1, share)])
        first = self._size + len(self.copies)
        indices = range(first, first + lost + self._vacant)
        new = [Copy(self._name_of(index), index, donors, epoch) for index in indices]
        self.copies += new
        self._going_on = [each.trial for each in stay]
        self._members = {each.trial for each in stay} | {each.trial for each in new}
        self._vacant, self._passed, self._arrived = 0, self._passed + 1, {}
