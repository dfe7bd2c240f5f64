"""The median stopping rule of Golovin et al. 2017 (Google Vizier, section 3.2.2), and the same by any percentile."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import Field

from orchestrator.fields import Count, Real
from orchestrator.schedulers.scheduler import (
    CONTINUE,
    UNKNOWN,
    Decision,
    Forecast,
    Scheduler,
    SchedulerOptions,
    Ties,
    grace_fault,
    reported,
    score,
)

NONE = float("-inf")
"""The score of what is no finite number."""


class MedianOptions(SchedulerOptions):
    """A trial is stopped when its best value is worse than the median of the others' averages."""

    rule: ClassVar[str] = "median"
    grace_period: Count = Field(
        default=1,
        description="No trial is stopped before it has trained this many epochs. At most `epochs`.",
    )
    min_trials: Count = Field(
        default=3,
        description="No trial is stopped before this many others have reached the same epoch.",
    )

    def in_logical_time(self) -> MedianOptions:
        """Return the same: a trial is held against the others' averages until its epoch."""
        return self

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the median stopping rule for trials of ``epochs`` epochs."""
        return MedianStopping(self.grace_period, self.min_trials, epochs, mode)

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return all epochs at most."""
        remark = f"what the {self.rule} rule stops depends on the curves"
        return Forecast((), trials * epochs, None, remark)

    def fault(self, epochs: int) -> tuple[str, str, object] | None:
        """Refuse a grace period in which every trial is over."""
        return grace_fault(self.grace_period, epochs)


class PercentileOptions(MedianOptions):
    """A trial is stopped when its best value is worse than a percentile of the others' averages."""

    rule: ClassVar[str] = "percentile"
    percentile: Real = Field(
        default=25.0,
        gt=0,
        lt=100,
        description="A trial continues while its best value is not worse than this percentile of the others' averages:"
        " `25` stops about the worst quarter, `50` is `median`.",
    )

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the rule for trials of ``epochs`` epochs."""
        made = MedianStopping(self.grace_period, self.min_trials, epochs, mode)
        made.name, made.share = "percentile", self.percentile / 100
        return made


class MedianStopping:
    """Stops a trial whose best value is below the median of the others' running averages at that epoch.

    Each epoch's averages are kept in order, so that a decision takes as long among a thousand trials as among ten.
    """

    name = "median"
    share = 0.5

    def __init__(self, grace_epochs: int, min_trials: int, epochs: int, mode: str) -> None:
        self._milestones = tuple(range(grace_epochs, epochs))
        self._min_trials = min_trials
        self._mode = mode
        self._curves: dict[str, _Curve] = {}
        self._averages: dict[int, dict[str, float]] = {epoch: {} for epoch in self._milestones}
        self._sorted: dict[int, list[float]] = {epoch: [] for epoch in self._milestones}

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return every epoch from the grace period on."""
        return self._milestones

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Remember the value; from the grace period on, compare the trial's best with the others' averages."""
        curve = self._curves.setdefault(trial, _Curve())
        if epoch in curve.scores:
            return CONTINUE
        for changed in curve.add(epoch, score(value, self._mode)):
            self._place(trial, changed)
        return self._decide(trial, epoch) if epoch in self._averages else CONTINUE

    def review(self, epoch: int) -> dict[str, Decision]:
        """Hold every trial that came to ``epoch`` against all others that did."""
        return {trial: self._decide(trial, epoch) for trial in self._averages.get(epoch, ())}

    def _place(self, trial: str, epoch: int) -> None:
        """Put a trial's average until ``epoch`` among the others', in place of its earlier one."""
        averages = self._averages.get(epoch)
        if averages is None:
            return
        in_order = self._sorted[epoch]
        if trial in averages:
            del in_order[bisect_left(in_order, averages[trial])]
        averages[trial] = self._curves[trial].average(epoch)
        insort(in_order, averages[trial])

    def _decide(self, trial: str, epoch: int) -> Decision:
        curve = self._curves[trial]
        if curve.scores[epoch] == NONE:
            return Decision(stop=True)
        others = len(self._averages[epoch]) - 1
        if others < self._min_trials:
            return CONTINUE
        cutoff = _quantile_without(self._sorted[epoch], self._averages[epoch][trial], self.share)
        return Decision(curve.best(epoch) < cutoff, reported(cutoff, self._mode))


@dataclass
class _Curve:
    """A trial's scores by epoch, its ``last`` epoch, its ``highest`` score, and the finite ones as they came."""

    scores: dict[int, float] = field(default_factory=dict)
    last: int = 0
    highest: float = NONE
    finite: list[float] = field(default_factory=list)

    def add(self, epoch: int, value: float) -> list[int]:
        """Take in an epoch's score; return the epochs whose averages change: later ones too where it came late."""
        self.scores[epoch] = value
        self.highest = max(self.highest, value)
        if value != NONE:
            self.finite.append(value)
        if epoch > self.last:
            self.last = epoch
            return [epoch]
        return [at for at in self.scores if at >= epoch]

    def average(self, epoch: int) -> float:
        """Return the mean of the finite scores up to ``epoch``."""
        seen = self.finite
        if epoch < self.last:
            seen = [value for at, value in self.scores.items() if at <= epoch and value != NONE]
        return sum(seen) / len(seen) if seen else NONE

    def best(self, epoch: int) -> float:
        """Return the best score up to ``epoch``."""
        if epoch == self.last:
            return self.highest
        return max(value for at, value in self.scores.items() if at <= epoch)


def _quantile_without(in_order: list[float], one: float, share: float) -> float:
    """Return the quantile of sorted values, one of them left out; between two values, what lies there."""
    out = bisect_left(in_order, one)

    def other(at: int) -> float:
        return in_order[at if at < out else at + 1]

    place = share * (len(in_order) - 2)
    below = int(place)
    beyond = place - below
    return other(below) * (1 - beyond) + other(below + 1) * beyond if beyond else other(below)
