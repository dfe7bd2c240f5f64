"""The median stopping rule of Golovin et al. 2017 (Google Vizier, section 3.2.2)."""

from __future__ import annotations

import statistics
from typing import Any

from orchestrator.schedulers.decision import CONTINUE, Decision, reported, score


class MedianStopping:
    """Stops a trial whose best value is below the median of the others' running averages at that epoch."""

    name = "median"

    def __init__(self, grace_epochs: int, min_trials: int, epochs: int, mode: str) -> None:
        self._milestones = tuple(range(grace_epochs, epochs))
        self._grace_epochs = grace_epochs
        self._min_trials = min_trials
        self._mode = mode
        self._scores: dict[str, dict[int, float]] = {}

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return every epoch from the grace period on."""
        return self._milestones

    def report(self, trial: str, epoch: int, value: Any) -> Decision:
        """Remember the value; from the grace period on, compare the trial's best with the others' averages."""
        mine = self._scores.setdefault(trial, {})
        if epoch in mine:
            return CONTINUE
        mine[epoch] = score(value, self._mode)
        return self._decide(trial, epoch) if epoch in self._milestones else CONTINUE

    def review(self, epoch: int) -> dict[str, Decision]:
        """Hold every trial that came to ``epoch`` against all others that did."""
        if epoch not in self._milestones:
            return {}
        came = [trial for trial, values in self._scores.items() if epoch in values]
        return {trial: self._decide(trial, epoch) for trial in came}

    def _decide(self, trial: str, epoch: int) -> Decision:
        mine = self._scores[trial]
        if mine[epoch] == float("-inf"):
            return Decision(stop=True)
        averages = [
            average
            for other, values in self._scores.items()
            if other != trial and (average := _average_until(values, epoch)) is not None
        ]
        if len(averages) < self._min_trials:
            return CONTINUE
        cutoff = statistics.median(averages)
        best = max(value for at, value in mine.items() if at <= epoch)
        return Decision(best < cutoff, reported(cutoff, self._mode))


def _average_until(values: dict[int, float], epoch: int) -> float | None:
    """Return the mean of a trial's finite scores up to ``epoch``, None if it did not get that far."""
    if epoch not in values:
        return None
    seen = [value for at, value in values.items() if at <= epoch and value != float("-inf")]
    return sum(seen) / len(seen) if seen else float("-inf")
