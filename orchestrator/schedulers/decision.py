"""What a scheduler is asked and what it answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Decision:
    """Whether a trial goes on, and the cutoff its value was held against (None: nothing to compare with).

    One that is to ``pause`` leaves its place to another trial until its scheduler promotes it.
    """

    stop: bool
    cutoff: float | None = None
    pause: bool = False


CONTINUE = Decision(stop=False)

Ties = tuple[float, float]
"""What decides between equal values of a metric, as ``Score.ties`` has it."""
UNKNOWN: Ties = (math.inf, math.inf)


class Scheduler(Protocol):
    """Decides after an epoch whether a trial goes on.

    One that pauses trials has a method ``promote()`` besides: it returns the names of those that may go on, each once,
    and is asked whenever there is room for a trial. What it never promotes ends, stopped, when nothing else is left.
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
    promote = getattr(scheduler, "promote", None)
    return promote() if promote else ()


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
