"""The limits of a run and of its trials, what their starts take, and the first failures that end a run early."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orchestrator.config import LimitOptions
from orchestrator.records import GIVEN_UP, TrialEnd, shared_error
from orchestrator.tuning.protocol import Spent

GRACE_SECONDS = 10.0
"""How long a trial may overstay beyond its longest report before it counts as hung."""
START_SECONDS = 120.0
"""The same for a resumed trial that has not reported yet: its worker may still be starting."""
FIRST_TRIALS = 10
"""How many trials have to fail alike, before any has ended otherwise, for the run to be given up."""


@dataclass
class TrialTimer:
    """How long a trial has been in training: ``since`` its worker took it (None: it waits for one), and ``before``.

    ``heard`` is when it last reported, ``longest`` the longest it took between two reports.
    """

    since: float | None = None
    before: float = 0.0
    heard: float = 0.0
    longest: float = 0.0

    def start(self, now: float) -> None:
        """Note that a worker has taken the trial."""
        self.since = self.heard = now

    def report(self, now: float) -> None:
        """Note a report."""
        self.longest = max(self.longest, now - self.heard)
        self.heard = now

    def stop(self, now: float) -> None:
        """Note that the trial waits for another worker."""
        self.before, self.since = self.seconds(now), None

    def seconds(self, now: float) -> float:
        """Return the seconds in training, of all tries."""
        return self.before + (0.0 if self.since is None else now - self.since)


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
            return f"{GIVEN_UP}: {self.failed} trials failed, limits.max_failed_trials is {allowed}"
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

    def out_of_time(self, clock: TrialTimer, now: float) -> bool:
        """Return whether a trial that reports now has used up its time."""
        most = self.options.max_trial_time
        return most is not None and clock.seconds(now) >= (most.seconds or 0.0)

    def hung(self, clock: TrialTimer, now: float, closed_at: float | None) -> bool:
        """Return whether a trial is past its own or the run's time limit and has stopped reporting."""
        if clock.since is None:
            return False
        over = [] if closed_at is None else [now - closed_at]
        if self.options.max_trial_time is not None:
            over.append(clock.seconds(now) - (self.options.max_trial_time.seconds or 0.0))
        starts = clock.before > 0.0 and clock.heard == clock.since
        grace = START_SECONDS if starts else GRACE_SECONDS
        return max(over, default=0.0) > max(grace, 2 * clock.longest)


class FirstFailures:
    """Gives a run up whose first trials all fail with the same error: the others would, too."""

    def __init__(self, watching: bool) -> None:
        self._watching = watching
        self._errors: list[str] = []

    def ended(self, end: TrialEnd) -> None:
        """Note how a trial ended; one that was cut off says nothing."""
        if end.status == "interrupted" or not self._watching:
            return
        if end.status == "failed" and end.error and len(self._errors) < FIRST_TRIALS:
            self._errors.append(end.error)
        self._watching = end.status == "failed" and shared_error(self._errors) is not None

    @property
    def reason(self) -> str | None:
        """Return why the run is given up, in words; None where it is not."""
        if not self._watching or len(self._errors) < FIRST_TRIALS:
            return None
        return f"{GIVEN_UP}: the first {FIRST_TRIALS} trials failed with the same error: {self._errors[0]}"


class StartTimes:
    """What each trial's start took, its epochs aside, on a worker that was warm by then."""

    def __init__(self) -> None:
        self._taken: dict[str, float] = {}
        self._warm: dict[object, float] = {}

    def taken(self, trial: str, now: float) -> None:
        """Take in that a worker has taken a trial."""
        self._taken[trial] = now

    def note(self, trial: str, rows: list[dict[str, Any]], worker: object, now: float) -> None:
        """Add its start to the first of a trial's new ``rows``, which arrive now; once, unless the worker warmed up."""
        if trial not in self._taken or not rows:
            return
        taken = self._taken.pop(trial)
        if self._warm.setdefault(worker, now) <= taken:
            trained = sum(float(row["seconds"]) for row in rows)
            rows[0]["start_seconds"] = max(0.0, now - taken - trained)
