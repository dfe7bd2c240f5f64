"""Hyperband (Li et al. 2018) without waiting: ASHA in brackets, each with a later first rung than the one before."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from itertools import accumulate, chain
from typing import Any, Literal

from pydantic import Field

from orchestrator.fields import Count, Flag
from orchestrator.schedulers.asha import AshaOptions, rung_epochs
from orchestrator.schedulers.scheduler import (
    UNKNOWN,
    Decision,
    Scheduler,
    SchedulerOptions,
    Ties,
    deepens,
    grace_fault,
    heard,
    promoted,
    promoted_last,
    stay_paused,
)
from orchestrator.schedulers.start_cost import Remark

GOLDEN = 0.6180339887498949
"""Multiples of it, without their whole part, lie evenly in [0, 1), however many there are."""


class HyperbandOptions(SchedulerOptions):
    """ASHA in several brackets at once, for when early values may mislead."""

    grace_period: Count = Field(
        default=1,
        description="The first rung of the first bracket; each further bracket begins at the next rung. At most"
        " `epochs`.",
    )
    reduction_factor: int = Field(
        default=3,
        ge=2,
        description="The best 1/`reduction_factor` of the trials at a bracket's rung continue to its next rung.",
    )
    brackets: Count = Field(
        default=3,
        description="How many brackets there are at most. Each gets about the same number of epochs, so that fewer"
        " trials are in later ones; a trial's number decides which it is in.",
    )
    promote: Flag | Literal["auto"] = Field(
        default="auto", description="As of `asha`: whether trials pause at rungs."
    )

    def in_logical_time(self) -> HyperbandOptions:
        """Return the same, as of ``asha``: a bracket is a matter of a trial's number."""
        return self if self.promote != "auto" else self.model_copy(update={"promote": True})

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return the brackets for trials of ``epochs`` epochs."""
        firsts = [*rung_epochs(self.grace_period, self.reduction_factor, epochs), epochs]
        brackets = [
            AshaOptions(
                grace_period=first, reduction_factor=self.reduction_factor, promote=self.promote
            ).make(epochs, mode)
            for first in firsts[: self.brackets]
        ]
        costs = [_epochs_of_a_trial(each.milestones, epochs) for each in brackets]
        return Hyperband(brackets, [1 / cost for cost in costs])

    def fault(self, epochs: int) -> tuple[str, str, object] | None:
        """Refuse a first rung that no trial reaches."""
        return grace_fault(self.grace_period, epochs)


def _epochs_of_a_trial(rungs: tuple[int, ...], epochs: int) -> float:
    """Return about how many epochs a trial trains: to the first rung, and its share of the way between later ones."""
    ends = [*rungs, epochs]
    return sum(
        (end - before) * ends[0] / end for before, end in zip([0, *ends], ends, strict=False)
    )


class Hyperband:
    """Asks the bracket that a trial is in; ``shares`` say how many trials are in which.

    Where nothing else is left, the bracket whose best is furthest is asked first.
    """

    name = "hyperband"

    def __init__(self, brackets: list[Scheduler], shares: list[float]) -> None:
        self.brackets = brackets
        self._bounds = [upto / sum(shares) for upto in accumulate(shares)]

    @property
    def milestones(self) -> tuple[int, ...]:
        """Return the rungs of all brackets, ascending."""
        return tuple(sorted({epoch for each in self.brackets for epoch in each.milestones}))

    @property
    def deepens(self) -> bool:
        """Whether its brackets do."""
        return all(deepens(each) for each in self.brackets)

    def bracket_of(self, trial: str) -> Scheduler:
        """Return the bracket that a trial is in."""
        number = int(trial) if trial.isdecimal() else zlib.crc32(trial.encode())
        place = (number + 0.5) * GOLDEN % 1
        return next(
            each
            for each, bound in zip(self.brackets, [*self._bounds[:-1], 2.0], strict=True)
            if place < bound
        )

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Return its bracket's decision."""
        return self.bracket_of(trial).report(trial, epoch, value, ties)

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Return all brackets' decisions."""
        return dict(chain.from_iterable(each.review(epoch).items() for each in self.brackets))

    def promote(self) -> Iterable[str]:
        """Return all brackets' trials that may go on."""
        return chain.from_iterable(promoted(each) for each in self.brackets)

    def promote_last(self) -> Iterable[str]:
        """Return those of each bracket that has none that trained all epochs."""
        return chain.from_iterable(promoted_last(each) for each in reversed(self.brackets))

    def stay_paused(self, least: int) -> list[str]:
        """Return those of each bracket."""
        return [trial for each in self.brackets for trial in stay_paused(each, least) or ()]

    def hear(self, row: Mapping[str, Any]) -> Remark | None:
        """Show a row to all brackets: what a start costs is the same in each."""
        remarks = [heard(each, row) for each in self.brackets]
        return next((remark.of(self.name) for remark in remarks if remark), None)
