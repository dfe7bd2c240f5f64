"""What passes between the driver and its workers, and who listens on the driver's side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from orchestrator.records import TrialEnd
from orchestrator.search import Search, TrialSpec
from orchestrator.trials import Progress
from orchestrator.tuning.failures import Failure


@dataclass(frozen=True)
class Report:
    """What a worker tells after a step: the trial's progress since its last report and how it stands.

    ``failure`` is what the trial's code raised; ``about`` holds the fields of its record that a worker knows.
    ``opened`` says that a new worker is set up, and nothing of the trial yet. ``shaped_by`` are the hyperparameters on
    which the worker's program for the trial depends.
    """

    trial: str
    progress: Progress
    failure: Failure | None
    about: Mapping[str, Any]
    opened: bool = False
    shaped_by: frozenset[str] = frozenset()

    @property
    def is_over(self) -> bool:
        """Whether the trial trains no further there, whatever is decided."""
        progress = self.progress
        return bool(self.failure) or progress.done or progress.diverged or progress.stopped


Phase = Literal["ray", "workers", "first epoch"]
"""What happens before a sitting's first epoch: Ray starts, workers set themselves up, one trains the first epoch."""


@dataclass(frozen=True)
class Verdict:
    """Which checkpoint the last examination takes, and where the model goes.

    ``slowest_epoch`` is the longest that an epoch of the run took, in seconds: how long to wait goes by it.
    """

    checkpoint: Path
    best: Path
    slowest_epoch: float = 0.0


@dataclass(frozen=True)
class SpentOnTrial:
    """What earlier sittings spent on a trial: its seconds in training, and the failures it was tried again after.

    ``facts`` is what they knew of it besides: TrialEnd's fields.
    """

    seconds: float = 0.0
    failures: tuple[Failure, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Spent:
    """What earlier sittings of a run have spent of its limits, ``on`` each trial that goes on too."""

    seconds: float = 0.0
    trials: int = 0
    epochs: int = 0
    failed: int = 0
    on: Mapping[str, SpentOnTrial] = field(default_factory=dict)


@dataclass(frozen=True)
class Sitting:
    """What one driver session of a run is given.

    ``cores`` is how many CPUs a cluster started for it offers. ``search`` is one that knows what earlier
    sittings did; None: the plan's, new. ``stopping`` says that the run is asked to stop.
    """

    cores: int
    search: Search | None = None
    spent: Spent = field(default_factory=Spent)
    stopping: Callable[[], bool] = bool


@dataclass(frozen=True)
class Outcome:
    """How a sitting went: whether the run is over, by which limit it ended early, and why it could not go on."""

    ended: bool
    reason: str | None = None
    trouble: str | None = None


class Disk(Protocol):
    """The disk that a run's folder is on."""

    @property
    def seconds(self) -> float:
        """Return how long the run has waited for room on it."""

    def is_or_was_full(self, needed: int) -> bool:
        """Wait until ``needed`` bytes (0: nobody knows) fit; return whether they did not, now or just before.

        Then a trial that failed for want of room is not to blame.
        """


class Listener(Protocol):
    """Is told of everything, in the driver, in the order it happened."""

    @property
    def disk(self) -> Disk:
        """Return the disk that the run waits for when it is full."""

    def waits_for(self, what: Phase) -> None:
        """Note what happens while nothing trains yet."""

    def event(self, event: str, **facts: Any) -> None:
        """Note what happened to the run as a whole: that a round began."""

    def remarked(self, event: str, text: str, **facts: Any) -> None:
        """Note what the run chose by itself, and say it: ``text`` is a sentence."""

    def started(self, spec: TrialSpec) -> None:
        """Note that a trial began."""

    def waits(self, trial: str, still: bool = True) -> None:
        """Note that a trial left its place to others until it is promoted; or, not ``still``, that it trains again."""

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Note finished epochs: {trial, epoch, metrics, seconds}; return how many were not told before."""

    def journal(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Note what was asked of babysat trials, what was done and what it did."""

    def ended(self, end: TrialEnd, traceback: str | None) -> None:
        """Note how a trial ended; ``traceback`` is the whole error of a failed one."""

    def tried_again(self, trial: str, failure: Failure, attempt: int, wait: float) -> None:
        """Note that a lost trial goes on, as the ``attempt``-th try, in ``wait`` seconds."""

    def verdict(self) -> Verdict | None:
        """Return what to examine once every trial has ended; None if there is nothing, which it then reports."""

    def judged(self, metrics: Mapping[str, Any]) -> None:
        """Note the winner's examination."""

    def not_judged(self, why: str) -> None:
        """Note that the winner could not be examined."""
