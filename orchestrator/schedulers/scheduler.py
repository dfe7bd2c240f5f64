"""What a scheduler is asked and answers, the options that make one, and what a resumed run replays."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, Self

from orchestrator.fields import Options
from orchestrator.schedulers.start_cost import Remark


@dataclass(frozen=True)
class Decision:
    """Whether a trial goes on, and the cutoff its value was held against (None: nothing to compare with).

    One that is to ``pause`` leaves its place to another trial until its scheduler promotes it.
    """

    stop: bool
    cutoff: float | None = None
    pause: bool = False


CONTINUE = Decision(stop=False)


@dataclass(frozen=True)
class Copy:
    """A trial that is to begin from the state that one of ``donors`` has after ``epoch``, which waits there."""

    trial: str
    index: int
    donors: tuple[str, ...]
    epoch: int


Ties = tuple[float, float]
"""What decides between equal values of a metric, as ``Score.ties`` has it."""
UNKNOWN: Ties = (math.inf, math.inf)


class Scheduler(Protocol):
    """Decides after an epoch whether a trial goes on.

    One that pauses trials has a method ``promote()`` besides: it returns the names of those that may go on, in that
    order, and is asked whenever there is room for a trial; what it returns again stays promoted. It may have
    ``promote_last()``, which is asked once nothing else is left: the first that is paused goes on; and ``drop()``,
    which returns those that end, stopped, meanwhile. What is never promoted ends, stopped. By ``stay_paused(least)`` it
    may say of which that is certain by now: no trial begins any more, and all in training have come to epoch ``least``.

    Whichever has ``ended(trial)`` hears of each trial that comes to no further epoch, whatever ended it; and by
    ``passed(trial)`` of one that goes on beyond its last epoch, whatever is decided there.

    One that has trials begin as copies of others has them in ``copies``, and hears beforehand, by ``populate(trials,
    name_of)``, how many are drawn and how one of an index is called.

    One with ``hear(row)`` is shown each row of ``epochs.jsonl`` before it is reported: what an epoch and a start took.
    A ``Remark`` that it returns is written down and said.
    """

    @property
    def name(self) -> str:
        """Return what it is called in the experiment's file."""

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the epochs at which a decision is made, ascending; a trial must report at each of them."""

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Take one trial's metric after one epoch and decide; ``ties`` decide between equal values, less is better."""

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Decide about every trial that reported ``epoch``, in whatever order, with all that is known by now."""


def promoted(scheduler: Scheduler) -> Iterable[str]:
    """Return the trials that a scheduler lets go on; of one that pauses none, none."""
    return _asked(scheduler, "promote") or ()


def dropped(scheduler: Scheduler) -> Mapping[str, Decision]:
    """Return the paused trials that a scheduler has stopped meanwhile."""
    return _asked(scheduler, "drop") or {}


def tell_ended(scheduler: Scheduler, trial: str) -> None:
    """Have a scheduler that cares know that a trial comes to no further epoch."""
    _asked(scheduler, "ended", trial)


def tell_passed(scheduler: Scheduler, trial: str) -> None:
    """Have a scheduler that cares know that a trial goes on beyond its last epoch, whatever is decided there."""
    _asked(scheduler, "passed", trial)


def stay_paused(scheduler: Scheduler, least: int) -> Collection[str] | None:
    """Return the paused trials that surely never go on, as ``Scheduler`` has it; None where copies may yet begin."""
    if hasattr(scheduler, "copies"):
        return None
    return _asked(scheduler, "stay_paused", least) or ()


def _asked(scheduler: Scheduler, method: str, *told: Any) -> Any:
    """Call a method that a scheduler may have; None where it has none."""
    found = getattr(scheduler, method, None)
    return found(*told) if found else None


def deepens(scheduler: Scheduler) -> bool:
    """Return whether one that pauses trials promotes, once its trials get longer, whom it would have promoted then."""
    return bool(getattr(scheduler, "deepens", False))


def promoted_last(scheduler: Scheduler) -> Iterable[str]:
    """Return the trials of which a scheduler lets the first one go on now that nothing else is left."""
    return _asked(scheduler, "promote_last") or ()


def heard(scheduler: Scheduler, row: Mapping[str, Any]) -> Remark | None:
    """Show a scheduler a row, if it cares; return what it has chosen by that."""
    hear = getattr(scheduler, "hear", None)
    return hear(row) if hear else None


def populate(scheduler: Scheduler, trials: int, name_of: Callable[[int], str]) -> None:
    """Have a scheduler that copies trials know how many are drawn, and how one of an index is called."""
    tell = getattr(scheduler, "populate", None)
    if tell:
        tell(trials, name_of)


def copies_of(scheduler: Scheduler) -> Sequence[Copy]:
    """Return the copies that a scheduler has asked for, from the first on; of one that copies nothing, none."""
    return getattr(scheduler, "copies", ())


def score(value: Any, mode: str) -> float:
    """Return ``value`` as a number of which larger is better; whatever is not finite is the worst there is."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return -math.inf
    if not math.isfinite(number):
        return -math.inf
    return number if mode == "max" else -number


def reported(cutoff: float, mode: str) -> float | None:
    """Return a score as the metric it was made from, None for one that stands for no number."""
    if not math.isfinite(cutoff):
        return None
    return cutoff if mode == "max" else -cutoff


@dataclass(frozen=True)
class Rung:
    """An epoch at which trials are judged; how many are expected to reach it, and to go on."""

    epoch: int
    reaching: float
    going_on: float


@dataclass(frozen=True)
class Forecast:
    """What trials cost in epochs; ``epochs_expected`` is None where only the curves could tell.

    ``remark`` says why it is fewer than ``epochs_at_most``; empty where it is not.
    """

    rungs: tuple[Rung, ...]
    epochs_at_most: int
    epochs_expected: float | None
    remark: str = ""


class SchedulerMaker(Protocol):
    """What a plan knows of its scheduler before a run."""

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return a new scheduler for trials of ``epochs`` epochs, a metric of which ``max`` or ``min`` is good."""

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return what so many trials of so many epochs are expected to cost."""


class SchedulerOptions(Options):
    """The options of one scheduler; each has its module here and its line in ``SCHEDULERS``.

    ``compares`` says whether it holds trials against one another as they come.
    """

    compares: ClassVar[bool] = True

    def in_logical_time(self) -> SchedulerOptions | None:
        """Return the options by which who goes on from an epoch follows from who came there, in which order, alone.

        None where there are none: it depends on what was heard first of other epochs, or on the time.
        """
        return None

    def judging_by(self, metric: str, rows: int) -> Self:
        """Return the options for trials that are judged by a ``metric`` of so many validation ``rows``."""
        return self

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the scheduler for trials of ``epochs`` epochs; ``mode`` says which metric is good: max or min."""
        raise NotImplementedError

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return what so many trials are expected to cost; without more to go by, at most all of their epochs."""
        return unknown_forecast(trials, epochs)

    def fault(self, epochs: int) -> tuple[str, str, object] | None:
        """Return (option, what was expected, what was received) where the options do not suit trials so long."""
        return None


def unknown_forecast(trials: int, epochs: int) -> Forecast:
    """Return the forecast of a scheduler of which only the curves could tell what it stops."""
    return Forecast((), trials * epochs, None, "what the scheduler stops depends on the curves")


def grace_fault(grace_period: int, epochs: int) -> tuple[str, str, object] | None:
    """Return the fault of a grace period in which each trial is over, so that none is ever stopped."""
    if grace_period <= epochs:
        return None
    expected = f"expected at most the {epochs} epochs that a trial trains, or scheduler: none"
    return "grace_period", expected, grace_period


class NoSchedulerOptions(SchedulerOptions):
    """Every trial trains for all of its epochs."""

    compares: ClassVar[bool] = False

    def in_logical_time(self) -> SchedulerOptions:
        """Return the same: it decides nothing."""
        return self

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the scheduler that stops nothing."""
        return _EveryTrialFinishes()

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return all epochs of all trials."""
        return Forecast((), trials * epochs, float(trials * epochs))


class _EveryTrialFinishes:
    """Stops nothing."""

    name = "none"
    milestones: tuple[int, ...] = ()

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Let the trial go on."""
        return CONTINUE

    def review(self, epoch: int) -> dict[str, Decision]:
        """Let every trial go on."""
        return {}


class PassedBefore:
    """A scheduler that stops no trial before the epoch its records reach, and stops it where it was stopped.

    Where a damaged record was taken out and its epoch trained again, the value comes later than it did and ranks
    among more of them: the decision made then, one of ``stops`` {trial: (epoch, decision)}, holds.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        reached: Mapping[str, int],
        stops: Mapping[str, tuple[int, Decision]] | None = None,
    ) -> None:
        self._scheduler = scheduler
        self._reached = dict(reached)
        self._stops = dict(stops or {})
        self.name = scheduler.name

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the scheduler's."""
        return self._scheduler.milestones

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Tell the scheduler; pass its decision on where it is news."""
        decision = self._scheduler.report(trial, epoch, value, ties)
        stopped_at, stop = self._stops.get(trial, (None, decision))
        if epoch == stopped_at:
            return stop
        if decision.stop and epoch < self._reached.get(trial, 0):
            return replace(decision, stop=False)
        return decision

    def promote(self) -> Iterable[str]:
        """Return the scheduler's."""
        return promoted(self._scheduler)

    def promote_last(self) -> Iterable[str]:
        """Return the scheduler's."""
        return promoted_last(self._scheduler)

    def drop(self) -> Mapping[str, Decision]:
        """Return the scheduler's."""
        return dropped(self._scheduler)

    def ended(self, trial: str) -> None:
        """Tell the scheduler."""
        tell_ended(self._scheduler, trial)

    def passed(self, trial: str) -> None:
        """Tell the scheduler."""
        tell_passed(self._scheduler, trial)

    @property
    def copies(self) -> Sequence[Copy]:
        """The scheduler's."""
        return copies_of(self._scheduler)

    @property
    def deepens(self) -> bool:
        """Whether the scheduler does."""
        return deepens(self._scheduler)

    def hear(self, row: Mapping[str, Any]) -> Remark | None:
        """Show the scheduler a row."""
        return heard(self._scheduler, row)

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Return the scheduler's."""
        return self._scheduler.review(epoch)
