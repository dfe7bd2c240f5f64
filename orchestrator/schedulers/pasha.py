"""PASHA (Bohdal et al. 2023, ICLR): ASHA whose highest rung rises only while rankings still change on the way to it."""

from __future__ import annotations

import math
from bisect import insort
from itertools import pairwise
from typing import Any

from pydantic import Field

from orchestrator.fields import Count
from orchestrator.schedulers.asha import rung_epochs
from orchestrator.schedulers.promotion import PromotingAsha, PromotionRung
from orchestrator.schedulers.scheduler import (
    UNKNOWN,
    Decision,
    Scheduler,
    SchedulerOptions,
    Ties,
    grace_fault,
    score,
)

NOISE_PERCENTILE = 0.9


class PashaOptions(SchedulerOptions):
    """ASHA (promoting) that trains no trial further than is needed to rank them; the best one trains to the end."""

    grace_period: Count = Field(
        default=1, description="The first rung, where each trial pauses. At most `epochs`."
    )
    reduction_factor: int = Field(
        default=3,
        ge=2,
        description="The best 1/`reduction_factor` of the trials at a rung continue to the next rung, at"
        " `reduction_factor` times as many epochs.",
    )

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return it with the rungs below ``epochs``."""
        rungs = rung_epochs(self.grace_period, self.reduction_factor, epochs)
        return Pasha(rungs, self.reduction_factor, epochs, mode)

    def fault(self, epochs: int) -> tuple[str, str, object] | None:
        """Refuse a first rung that no trial reaches."""
        return grace_fault(self.grace_period, epochs)


class Pasha(PromotingAsha):
    """Promotes to the second rung; to each further one once the two highest rungs rank the same trials differently.

    Ranks differ where values do by more than the noise: the 90th percentile of the differences between trials whose
    curves crossed twice on the way to the highest rung.
    """

    name = "pasha"

    def __init__(
        self, rungs: tuple[int, ...], reduction_factor: float, epochs: int, mode: str
    ) -> None:
        super().__init__(rungs, reduction_factor, epochs, mode)
        self.top = min(1, len(rungs) - 1)
        self._curves: dict[str, dict[int, float]] = {}
        self._noise: list[float] = []

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Pause a trial that comes to a rung; let the highest rung rise where that changes the ranking."""
        self._curves.setdefault(trial, {}).setdefault(epoch, score(value, self._mode))
        is_news = epoch in self.rungs and trial not in self.rungs[epoch].places
        decision = super().report(trial, epoch, value, ties)
        highest = self.milestones[self.top] if self.rungs else 0
        if is_news and epoch == highest and 0 < self.top < len(self.rungs) - 1:
            self._learn_noise(trial, self.rungs[epoch])
            if not self._ranks_agree(epoch, self.milestones[self.top - 1]):
                self.top += 1
                self._noise.clear()
        return decision

    def promote(self) -> list[str]:
        """Return those below the highest rung that may go on."""
        return [
            t for t in super().promote() if self.promotes_from(self.waiting.get(t, self._epochs))
        ]

    def promotes_from(self, epoch: int) -> bool:
        """Return whether a rung lies below the highest."""
        return epoch in self.milestones[: self.top]

    def _learn_noise(self, trial: str, rung: PromotionRung) -> None:
        """Take in how far apart a trial and others are whose curves have crossed its own twice."""
        mine = self._curves[trial]
        for other in rung.places:
            theirs = self._curves[other]
            gaps = [mine[at] - theirs[at] for at in sorted(mine.keys() & theirs.keys())]
            signs = [gap > 0 for gap in gaps if gap and math.isfinite(gap)]
            crossings = sum(a != b for a, b in pairwise(signs))
            if crossings >= 2 and math.isfinite(gaps[-1]):
                insort(self._noise, abs(gaps[-1]))

    def _ranks_agree(self, high: int, low: int) -> bool:
        """Return whether each trial's value at ``low`` is within the noise of that of whoever has its rank there."""
        epsilon = self._noise[int(NOISE_PERCENTILE * (len(self._noise) - 1))] if self._noise else 0
        ranked = [place.trial for place in self.rungs[high].best_first if place.is_finite]
        before = {trial: self._curves[trial].get(low, -math.inf) for trial in ranked}
        in_order = sorted(before.values(), reverse=True)
        return all(
            before[trial] == there or abs(before[trial] - there) <= epsilon
            for trial, there in zip(ranked, in_order, strict=True)
        )
