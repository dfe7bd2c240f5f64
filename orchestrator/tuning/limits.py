"""The limits of a run and of its trials, held against what was spent."""

from __future__ import annotations

from dataclasses import dataclass, field

from orchestrator.config import LimitOptions
from orchestrator.tuning.job import Spent

GRACE_SECONDS = 10.0
"""How long a trial may overstay beyond its longest report before it counts as hung."""


@dataclass
class Clock:
    """When a trial in training began, when it last reported, and the longest it took between two reports."""

    began: float
    heard: float
    longest: float = 0.0

    def report(self, now: float) -> None:
        """Note a report."""
        self.longest = max(self.longest, now - self.heard)
        self.heard = now


@dataclass
class Limits:
    """What a run has spent and may spend. Times are seconds of a clock that stands still while the run is paused."""

    options: LimitOptions
    began: float
    spent: Spent
    trials: int = field(init=False)
    epochs: int = field(init=False)
    failed: int = field(init=False)

    def __post_init__(self) -> None:
        self.trials = self.spent.trials
        self.epochs = self.spent.epochs
        self.failed = self.spent.failed

    def met(self, now: float) -> str | None:
        """Return which limit of the run is met, in words; None while none is."""
        most = self.options
        if most.max_failed_trials is not None and self.failed > most.max_failed_trials:
            allowed = most.max_failed_trials
            return f"given up: {self.failed} trials failed, limits.max_failed_trials is {allowed}"
        if most.max_run_time is not None:
            seconds = self.spent.seconds + now - self.began
            if seconds >= (most.max_run_time.seconds or 0.0):
                return f"limits.max_run_time of {most.max_run_time} is used up"
        if most.max_epochs is not None and self.epochs >= most.max_epochs:
            return f"limits.max_epochs of {most.max_epochs} is used up"
        return None

    def more_trials(self) -> bool:
        """Return whether another trial may be started."""
        return self.options.max_trials is None or self.trials < self.options.max_trials

    def out_of_time(self, clock: Clock, now: float) -> bool:
        """Return whether a trial that reports now has used up its time."""
        most = self.options.max_trial_time
        return most is not None and now - clock.began >= (most.seconds or 0.0)

    def hung(self, clock: Clock, now: float, closed_at: float | None) -> bool:
        """Return whether a trial should have reported long ago: its time is up, or the run's, and it stays away."""
        ends = [] if closed_at is None else [closed_at]
        if self.options.max_trial_time is not None:
            ends.append(clock.began + (self.options.max_trial_time.seconds or 0.0))
        return bool(ends) and now > min(ends) + max(GRACE_SECONDS, 2 * clock.longest)
