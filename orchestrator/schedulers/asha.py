"""ASHA in epochs: the asynchronous successive halving of Li et al. 2020 (MLSys); here its stopping variant."""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr

from orchestrator.fields import Count, Flag, Real
from orchestrator.schedulers.noise import SHARES, Noise
from orchestrator.schedulers.promotion import AutoAsha, PromotingAsha
from orchestrator.schedulers.scheduler import (
    CONTINUE,
    UNKNOWN,
    Decision,
    Forecast,
    Rung,
    Scheduler,
    SchedulerOptions,
    Ties,
    grace_fault,
    reported,
    score,
)


class AshaOptions(SchedulerOptions):
    """Asynchronous successive halving, in epochs (Li et al. 2020)."""

    grace_period: Count = Field(
        default=1,
        description="The first rung: no trial is stopped before it has trained this many epochs. At most `epochs`.",
    )
    reduction_factor: int = Field(
        default=3,
        ge=2,
        description="The best 1/`reduction_factor` of the trials at a rung continue to the next rung, at"
        " `reduction_factor` times as many epochs.",
    )
    promote: Flag | Literal["auto"] = Field(
        default="auto",
        description="`true`: each trial pauses at each rung, and the best of a rung continue whenever there is room,"
        " those of the highest rung first. `false`: each trial is stopped or continues as soon as it comes to a rung."
        " `auto`: as `true`, unless to resume a trial turns out to cost over a tenth of a full training.",
    )

    noise: Literal["auto", False] | Annotated[Real, Field(gt=0)] = Field(
        default=False,
        description="The standard error of the metric, such as `0.01`: trials that are among the best with a chance of"
        " 30 % or more continue too. `auto`: of an accuracy that of its validation rows, of other metrics none."
        " `false`: decisions take values as they are.",
    )
    _rows: int | None = PrivateAttr(default=None)

    def in_logical_time(self) -> AshaOptions:
        """Return the same; a choice that goes by measured times is made beforehand."""
        return self if self.promote != "auto" else self.model_copy(update={"promote": True})

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return ASHA with the rungs below ``epochs``."""
        rungs = rung_epochs(self.grace_period, self.reduction_factor, epochs)
        if self.promote:
            kind = AutoAsha if self.promote == "auto" else PromotingAsha
            return kind(rungs, self.reduction_factor, epochs, mode, self.noise_of)
        return Asha(rungs, self.reduction_factor, mode, self.noise_of)

    @property
    def noise_of(self) -> Noise | None:
        """The standard error that decisions take into account; None where they take none, or it is not known."""
        if self.noise == "auto":
            return Noise(rows=self._rows) if self._rows else None
        return Noise(float(self.noise)) if self.noise else None

    def judging_by(self, metric: str, rows: int) -> AshaOptions:
        """Return the same for a metric of so many validation rows."""
        if self.noise != "auto" or metric not in SHARES:
            return self
        told = self.model_copy()
        told._rows = rows
        return told

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return how many trials are expected at each rung, and their epochs."""
        at = rung_epochs(self.grace_period, self.reduction_factor, epochs)
        rungs = expected_rungs(trials, at, self.reduction_factor)
        expected = _epochs_trained(trials, rungs, epochs)
        remark = "ASHA stops most trials early" if rungs else ""
        return Forecast(rungs, trials * epochs, expected, remark)

    def fault(self, epochs: int) -> tuple[str, str, object] | None:
        """Refuse a first rung that no trial reaches."""
        return grace_fault(self.grace_period, epochs)


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

    def __init__(
        self,
        rungs: tuple[int, ...],
        reduction_factor: float,
        mode: str,
        noise: Noise | None = None,
    ) -> None:
        self._milestones = rungs
        self._noise = noise
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
        if self._noise is not None and self._noise.may_pass(-mine[0], cutoff):
            stop = False
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


def expected_rungs(trials: int, epochs: Sequence[int], factor: float) -> tuple[Rung, ...]:
    """Return ASHA's rungs with the trials expected at each."""
    rungs: list[Rung] = []
    reaching = float(trials)
    for epoch in epochs:
        going_on = expected_to_go_on(reaching, factor)
        rungs.append(Rung(epoch, reaching, going_on))
        reaching = going_on
    return tuple(rungs)


def expected_to_go_on(reaching: float, factor: float) -> float:
    """Return how many of the trials that reach a rung one after another are expected to pass it.

    The k-th to come passes when it is among the best ``max(1, floor(k / factor))`` of the k that
    have come: with the chance ``max(1, floor(k / factor)) / k``, where coming early says nothing
    about one's value. In sum this is a little over ``reaching / factor``, since the first ones pass
    easily. Where one rung's order is the next one's too, more go on at the later rungs.
    """
    whole = math.floor(reaching)
    chances = [max(1, math.floor(k / factor)) / k for k in range(1, whole + 2)]
    return sum(chances[:whole]) + (reaching - whole) * chances[whole]


def _epochs_trained(trials: int, rungs: Sequence[Rung], epochs: int) -> float:
    """Return the epochs of all trials, each training from rung to rung while it passes."""
    training, since, total = float(trials), 0, 0.0
    for rung in rungs:
        total += training * (rung.epoch - since)
        training, since = rung.going_on, rung.epoch
    return total + training * (epochs - since)
