"""When a trial in training writes its last state down."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Literal

from orchestrator.config import Duration

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 180.0
SHARE_OF_TIME = 1 / 20


class KeepingRhythm:
    """Says when the last state is due to be kept.

    ``auto`` is every second or part of an epoch, whichever is longer; less often where keeping would take more than a
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
    def keeping(self, epochs: int, steps: int) -> Iterator[None]:
        """Begin the next interval, after so many epochs and steps, when the block, whose cost is measured, is over."""
        begun = self._now()
        yield
        self._since = self._now()
        self._cost = self._since - begun
        self._kept_at = (epochs, steps)
