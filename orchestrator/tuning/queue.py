"""Which trial comes next. Pure: no Ray, no clock of its own."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable

from orchestrator.strategies import TrialSpec


class TrialQueue:
    """Trials waiting for a worker, those waiting to be tried again, and those in training.

    ``at_once`` is the most that train at one time, None as many as find room.
    """

    def __init__(self, specs: Iterable[TrialSpec], at_once: int | None) -> None:
        self._waiting = deque(specs)
        self._later: list[tuple[float, str, TrialSpec]] = []
        self.live: dict[str, TrialSpec] = {}
        self.at_once = at_once
        self.closed = False

    def add(self, spec: TrialSpec) -> None:
        """Have one more trial wait."""
        self._waiting.append(spec)

    def try_again(self, spec: TrialSpec, ready: float) -> None:
        """Have a trial that was lost wait until ``ready``."""
        self.live.pop(spec.trial, None)
        heapq.heappush(self._later, (ready, spec.trial, spec))

    def next(self, now: float) -> TrialSpec | None:
        """Return the next trial and count it as in training; None where none is ready or no more may train."""
        if self.closed or (self.at_once is not None and len(self.live) >= self.at_once):
            return None
        if self._later and self._later[0][0] <= now:
            spec = heapq.heappop(self._later)[2]
        elif self._waiting:
            spec = self._waiting.popleft()
        else:
            return None
        self.live[spec.trial] = spec
        return spec

    def drop_waiting(self) -> None:
        """Let no trial begin that has not begun yet."""
        self._waiting.clear()

    def leave(self, trial: str) -> None:
        """Take a trial out of training."""
        self.live.pop(trial, None)

    def fewer_than(self, trials: int) -> int:
        """Let fewer than so many train at once, but one at least; return how many."""
        self.at_once = max(1, trials - 1)
        return self.at_once

    @property
    def is_empty(self) -> bool:
        """Return whether nobody waits, or waits in vain."""
        return self.closed or not (self._waiting or self._later)
