"""Which trial comes next: what the search gives, and those that are tried again after a while."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from orchestrator.search import Round, Search, TrialSpec
from orchestrator.search.steps import NextRound, Resume, Start


class TrialQueue:
    """The trials that a search gives, those waiting to be tried again, and those in training.

    ``at_once`` is the most that train at one time, None as many as find room; ``round_began`` is told of each round.
    """

    def __init__(
        self, search: Search, at_once: int | None, round_began: Callable[[Round], None]
    ) -> None:
        self._search = search
        self._round_began = round_began
        self._later: list[tuple[float, str, TrialSpec]] = []
        self.live: dict[str, TrialSpec] = {}
        self._ahead: set[str] = set()
        self.at_once = at_once
        self.closed = False

    def try_again(self, spec: TrialSpec, ready: float) -> None:
        """Have a trial that was lost wait until ``ready``."""
        self.live.pop(spec.trial, None)
        heapq.heappush(self._later, (ready, spec.trial, spec))

    def next(self, now: float, ahead: bool = False) -> TrialSpec | None:
        """Return the next trial and count it as in training; None where none is ready or no more may train.

        One that is drawn ``ahead`` takes no other's place until it has ``begun``.
        """
        in_training = len(self.live) - len(self._ahead)
        full = self.at_once is not None and in_training >= self.at_once
        if self.closed or (full and not ahead):
            return None
        if self._later and self._later[0][0] <= now:
            spec = heapq.heappop(self._later)[2]
        else:
            step = self._search.next()
            if isinstance(step, NextRound):
                self._round_began(step.round)
                step = self._search.next()
            if not isinstance(step, Start | Resume):
                return None
            spec = step.spec
        self.live[spec.trial] = spec
        if ahead:
            self._ahead.add(spec.trial)
        return spec

    def begun(self, trial: str) -> None:
        """Take in that a worker trains a trial."""
        self._ahead.discard(trial)

    def leave(self, trial: str) -> None:
        """Take a trial out of training."""
        self._ahead.discard(trial)
        self.live.pop(trial, None)

    def fewer_than(self, trials: int) -> int:
        """Let fewer than so many train at once, but one at least; return how many."""
        self.at_once = max(1, trials - 1)
        return self.at_once

    @property
    def is_empty(self) -> bool:
        """Return whether nobody waits, or waits in vain."""
        return self.closed or (self._search.is_done and not self._later)

    @property
    def waits_for_promotion(self) -> bool:
        """Return whether nothing trains or is tried again, and what is left is paused."""
        return not (self.closed or self.live or self._later or self._search.is_done)
