"""By what a trial is judged and where its states go; when it reports, and when its last state is due to be kept."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.config import Duration
from orchestrator.records import Mode
from orchestrator.trials.state_store import StateStore

AMID_SECONDS = 5.0
"""After this long, training returns in mid-epoch, so that the worker can answer, as when asked for its state."""


@dataclass(frozen=True)
class Objective:
    """What trials are judged by, when the driver decides, and where states go.

    ``milestones`` are the epochs after which the driver decides: each gets a report of its own.
    """

    metric: str
    mode: Mode
    milestones: frozenset[int]
    checkpoints: Path
    checkpoint_every: Duration | Literal["auto"] = "auto"

    @property
    def states(self) -> StateStore:
        """Return where states go."""
        return StateStore(self.checkpoints)


def is_time(amid: bool, began: float, seconds: float) -> bool:
    """Return whether to report, ``seconds`` after ``began``; later ``amid`` an epoch, with nothing to report."""
    return time.monotonic() - began >= (max(seconds, AMID_SECONDS) if amid else seconds)


def finite(value: Any) -> bool:
    """Return whether ``value`` is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)


SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 180.0
SHARE_OF_TIME = 1 / 20


class CheckpointInterval:
    """Says when the last state is due to be kept.

    ``auto`` is every second or chunk of an epoch, whichever is longer; less often where keeping would take more than a
    twentieth of the time, but at least every three minutes.
    """

    def __init__(
        self, every: Duration | Literal["auto"], now: Callable[[], float] = time.monotonic
    ) -> None:
        self._every = every
        self._now = now
        self._since = now()
        self._cost = 0.0
        self._kept_at = (0, 0)

    def is_due(self, epochs: int, steps: int) -> bool:
        """Return whether the state is to be kept after so many epochs and steps, all of the trial's."""
        seconds = self._now() - self._since
        if self._every == "auto":
            wait = min(LONGEST_SECONDS, max(SHORTEST_SECONDS, self._cost / SHARE_OF_TIME))
            return seconds >= wait
        return self._every.reached(epochs - self._kept_at[0], seconds, steps - self._kept_at[1])

    @contextlib.contextmanager
    def saving(self, epochs: int, steps: int) -> Iterator[None]:
        """Begin the next interval, after so many epochs and steps, when the block, whose cost is measured, is over."""
        begun = self._now()
        yield
        self._since = self._now()
        self._cost = self._since - begun
        self._kept_at = (epochs, steps)
