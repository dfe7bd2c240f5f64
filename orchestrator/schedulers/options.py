"""What an experiment file says of a scheduler: how one is made from it, and what it is expected to cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from orchestrator.fields import Options
from orchestrator.schedulers.decision import Scheduler


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
    """The options of one scheduler; each has its module here and its line in ``SCHEDULERS``."""

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
    expected = f"expected at most the {epochs} epochs that a trial trains, else scheduler: none"
    return "grace_period", expected, grace_period
