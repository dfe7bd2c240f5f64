"""ASHA in epochs: the asynchronous successive halving of Li et al. 2020 (MLSys), stopping variant."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from typing import Any

from orchestrator.schedulers.decision import CONTINUE, UNKNOWN, Decision, Ties, reported, score


def rung_epochs(grace_epochs: int, reduction_factor: float, epochs: int) -> tuple[int, ...]:
    """Return the epochs of the rungs, ``grace * factor^k`` rounded, below ``epochs``.

    >>> rung_epochs(1, 3, 27)
    (1, 3, 9)
    """
    rungs: list[int] = []
    level = float(grace_epochs)
    while round(level) < epochs:
        if not rungs or round(level) > rungs[-1]:
            rungs.append(round(level))
        level *= reduction_factor
    return tuple(rungs)


class Asha:
    """Lets a trial pass a rung while it is among the best ``1/reduction_factor`` of all that came there.

    A trial passes if its rank among the n values seen at the rung, its own included, is at most
    ``max(1, floor(n / reduction_factor))``. Those who tie in all that decides (``Score``) rank behind those who came
    first, so a crowd of trials stuck at chance does not carry each other upward. What is not finite never passes.
    """

    name = "asha"

    def __init__(self, rungs: tuple[int, ...], reduction_factor: float, mode: str) -> None:
        self._milestones = rungs
        self._reduction_factor = reduction_factor
        self._mode = mode
        self.rungs: dict[int, dict[str, tuple[float, ...]]] = {epoch: {} for epoch in rungs}
        self._sorted: dict[int, list[tuple[float, ...]]] = {epoch: [] for epoch in rungs}

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the rungs' epochs, ascending."""
        return self._milestones

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Place ``value`` in the rung of ``epoch`` (a no-op between rungs or the second time) and decide."""
        rung = self.rungs.get(epoch)
        if rung is None or trial in rung:
            return CONTINUE
        mine = (-score(value, self._mode), *ties)
        rung[trial] = mine
        best_first = self._sorted[epoch]
        insort(best_first, mine)
        passing = max(1, math.floor(len(best_first) / self._reduction_factor))
        as_good_or_better = bisect_right(best_first, mine)
        cutoff = -best_first[passing - 1][0]
        stop = mine[0] == math.inf or as_good_or_better > passing
        return Decision(stop, reported(cutoff, self._mode))

    def review(self, epoch: int) -> dict[str, Decision]:
        """Decide a whole rung at once: the best ``1/reduction_factor`` pass, and no one else."""
        rung = self.rungs.get(epoch)
        if not rung:
            return {}
        best_first = sorted(rung, key=lambda trial: rung[trial])
        passing = max(1, math.floor(len(rung) / self._reduction_factor))
        cutoff = reported(-rung[best_first[passing - 1]][0], self._mode)
        return {
            trial: Decision(rank >= passing or rung[trial][0] == math.inf, cutoff)
            for rank, trial in enumerate(best_first)
        }
