"""Patience: a trial that no longer improves is stopped, whatever the others do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic import Field

from orchestrator.fields import Count, Real
from orchestrator.schedulers.scheduler import (
    CONTINUE,
    UNKNOWN,
    Decision,
    Scheduler,
    SchedulerOptions,
    Ties,
    grace_fault,
    reported,
    score,
)


class PatientOptions(SchedulerOptions):
    """A trial is stopped when its metric has not improved for some epochs; trials are not compared."""

    patience: Count = Field(
        default=5,
        description="A trial that has not improved for this many epochs is stopped. Below `epochs`.",
    )
    min_delta: Real = Field(
        default=0.0,
        ge=0,
        description="By how much the metric must beat the trial's best so far to count as improved.",
    )
    grace_period: Count = Field(
        default=1,
        description="No trial is stopped before it has trained this many epochs. At most `epochs`.",
    )

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the rule for trials of ``epochs`` epochs."""
        first = max(self.patience, self.grace_period)
        return Patience(self.patience, self.min_delta, range(first, epochs), mode)

    def fault(self, epochs: int) -> tuple[str, str, object] | None:
        """Refuse a patience that outlasts each trial, and such a grace period."""
        if self.patience >= epochs:
            expected = (
                f"expected fewer than the {epochs} epochs that a trial trains, or scheduler: none"
            )
            return "patience", expected, self.patience
        return grace_fault(self.grace_period, epochs)


class _Best(NamedTuple):
    """A trial's best score until an epoch, and after which epoch it last improved; after 0: never."""

    score: float = -math.inf
    since: int = 0


class Patience:
    """Stops a trial ``patience`` epochs after it last improved by more than ``min_delta``."""

    name = "patient"

    def __init__(self, patience: int, min_delta: float, decides_at: range, mode: str) -> None:
        self._patience = patience
        self._min_delta = min_delta
        self._decides_at = decides_at
        self._mode = mode
        self._bests: dict[str, dict[int, _Best]] = {}

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return every epoch from the first at which a trial can have waited so long."""
        return tuple(self._decides_at)

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Remember the trial's best; stop it where that is long ago."""
        bests = self._bests.setdefault(trial, {})
        last = next(reversed(bests), 0)
        if epoch <= last:
            return CONTINUE
        best, mine = bests.get(last, _Best()), score(value, self._mode)
        if mine > best.score + self._min_delta or (mine > best.score == -math.inf):
            best = _Best(mine, epoch)
        bests[epoch] = best
        return self._decide(best, epoch) if epoch in self._decides_at else CONTINUE

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Decide about every trial that reported ``epoch``."""
        return {
            trial: self._decide(bests[epoch], epoch)
            for trial, bests in self._bests.items()
            if epoch in bests and epoch in self._decides_at
        }

    def _decide(self, best: _Best, epoch: int) -> Decision:
        cutoff = reported(best.score + self._min_delta, self._mode)
        return Decision(epoch - best.since >= self._patience, cutoff)
