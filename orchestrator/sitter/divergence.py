"""Divergence: the loss has run away."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from orchestrator.fields import Count, Real, Shrinking, Whole
from orchestrator.sitter.rule import Finding, Looked, Memory, RuleOptions, Watched, number

RULE = "divergence"


class DivergenceOptions(RuleOptions):
    """When a loss has run away, and what is done about it."""

    loss_factor: Real = Field(
        default=2.0,
        gt=1,
        description="The training loss has diverged if it exceeds its best by all of three margins. The first: "
        "(`loss_factor` - 1) times the best.",
    )
    sigmas: Real = Field(
        default=3.0,
        ge=0,
        description="The second margin: this many standard deviations of the recent losses around their trend.",
    )
    window: Annotated[Count, Field(ge=3)] = Field(
        default=8, description="How many recent epochs that trend is fitted to."
    )
    smallest_rise: Real = Field(
        default=0.05,
        ge=0,
        description="The third margin: this share of the very first loss.",
    )
    learning_rate_factor: Shrinking = Field(
        default=0.5,
        description="Factor on α after a divergence, when training continues from the last good day; the α of "
        "that day, if it was smaller still.",
    )
    most_rollbacks: Whole = Field(
        default=3,
        description="How many such rollbacks there may be; at the next divergence the panda stops.",
    )

    def after_epoch(self, memory: Memory, metrics: Mapping[str, Any], watched: Watched) -> Looked:
        """Return what is remembered, and a finding if the loss has diverged; one that only advises says so once.

        It has if ``loss`` or ``val_loss`` is NaN or infinite, or if ``loss`` is above its best by more
        than the largest of: (``loss_factor`` - 1) times the best, ``sigmas`` standard deviations of the
        last ``window`` losses around their line, and ``smallest_rise`` times the first loss. The first
        is Keras's TerminateOnNaN made to see trouble before it is NaN; the second is the three-sigma
        limit of Shewhart's control chart (1931), so that a noisy loss may be noisy; the third is ours,
        since a loss of 0.002 after one of 0.001 is no reason to go back a day.

        What is done about it, a smaller α from an earlier checkpoint on, is what Zhang et al. 2022
        (OPT, arXiv:2205.01068, section 2.5) did by hand when their loss diverged.
        """
        limit, evidence = _limit(memory, self)
        loss = number(metrics.get("loss"))
        broken = [
            name for name in ("loss", "val_loss") if name in metrics and _broken(metrics.get(name))
        ]
        shown = loss if loss is not None else _text(metrics.get("loss"))
        evidence = {"loss": shown, **evidence, "not_finite": broken}
        if broken or (loss is not None and limit is not None and loss > limit):
            said, memory = memory.diverged, replace(memory, diverged=True)
            if said and not watched.acts:
                return memory, None
            return memory, _finding(memory, evidence, self)
        return _remembered(memory, loss, self.window), None

    def done(self, memory: Memory, found: Finding) -> Memory:
        """Count the rollback, and remember where it went."""
        return replace(memory, rollbacks=memory.rollbacks + 1, returned_to=found.to_day)

    def needed_days(self, memory: Memory) -> frozenset[int]:
        """Return the last good days, one more than there may be rollbacks."""
        good = [day.day for day in memory.days if day.good]
        return frozenset(good[-1 - self.most_rollbacks :])


def _broken(value: Any) -> bool:
    return value is not None and number(value) is None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)[:20]


def _limit(memory: Memory, options: DivergenceOptions) -> tuple[float | None, dict[str, Any]]:
    if memory.best_loss is None or memory.first_loss is None:
        return None, {}
    sigma = deviation_around_trend(memory.losses)
    rise = max(
        (options.loss_factor - 1) * abs(memory.best_loss),
        options.sigmas * sigma,
        options.smallest_rise * abs(memory.first_loss),
    )
    limit = memory.best_loss + rise
    return limit, {"best_loss": memory.best_loss, "sigma": sigma, "limit": limit}


def _remembered(memory: Memory, loss: float | None, window: int) -> Memory:
    if loss is None:
        return memory
    best = loss if memory.best_loss is None else min(loss, memory.best_loss)
    first = loss if memory.first_loss is None else memory.first_loss
    losses = (*memory.losses, loss)[-window:]
    return replace(memory, first_loss=first, best_loss=best, losses=losses, diverged=False)


def _finding(memory: Memory, evidence: dict[str, Any], options: DivergenceOptions) -> Finding:
    evidence = {**evidence, "rollbacks": memory.rollbacks}
    broken = evidence["not_finite"]
    if broken:
        what = f"{' and '.join(broken)} not finite"
    else:
        what = f"loss {evidence['loss']:.4g} above {evidence['limit']:.4g}"
    if memory.rollbacks >= options.most_rollbacks:
        best = memory.best_day
        return Finding(
            RULE,
            f"Diverged ({what}) after {memory.rollbacks} rollbacks: stop.",
            evidence,
            action="stop",
            to="best",
            to_day=best.day if best else memory.last_good_day,
            verdict=f"It diverged ({what}) after {memory.rollbacks} rollbacks to a smaller"
            " learning rate; start from a much smaller one, or look at the data and the model.",
        )
    rate, lower = _smaller(memory, options)
    return Finding(
        RULE,
        f"Diverged ({what}): back to day {memory.last_good_day}{lower}.",
        evidence,
        action="rollback",
        to="last_good_day",
        to_day=memory.last_good_day,
        changes={} if rate is None else {"learning_rate": rate},
    )


def _smaller(memory: Memory, options: DivergenceOptions) -> tuple[float | None, str]:
    """Return the α to go on with, and the words for it.

    Where α was raised since the day that is gone back to, by hand or by a schedule, its share may be far too large
    still: what that day was good with is known.
    """
    if memory.learning_rate is None:
        return None, ""
    share = memory.learning_rate * options.learning_rate_factor
    before = memory.learning_rate_on(memory.last_good_day)
    if before is not None and before < share:
        return before, f" with its learning rate {before:.4g}, not {memory.learning_rate:.4g}"
    return share, f" with learning rate {share:.4g}"


def deviation_around_trend(values: Sequence[float]) -> float:
    """Return the standard deviation of ``values`` around their least-squares line; 0 below three.

    The residual sum of squares is divided by n - 2, since the line takes two degrees of freedom
    (Draper and Smith, Applied Regression Analysis, 1998).
    """
    n = len(values)
    if n < 3:
        return 0.0
    middle, mean = (n - 1) / 2, sum(values) / n
    spread = sum((i - middle) * (i - middle) for i in range(n))
    slope = sum((i - middle) * (value - mean) for i, value in enumerate(values)) / spread
    residuals = [value - mean - slope * (i - middle) for i, value in enumerate(values)]
    squares = sum(residual * residual for residual in residuals)
    return math.sqrt(squares / (n - 2))
