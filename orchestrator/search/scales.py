"""A range on the scale that its hyperparameter is drawn on: places on it, its ends moved and written down again."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from numbers import Real
from typing import Any, Literal

from orchestrator.domains.numeric import (
    Integer,
    LogInteger,
    LogUniform,
    OneMinusLogUniform,
    Uniform,
    one_minus,
)
from orchestrator.domains.parse import Domain

Ranged = Uniform | LogUniform | OneMinusLogUniform | Integer | LogInteger
Side = Literal["lower", "upper"]
DECADE = 1.0
"""How far a side of a log scale is widened beyond the space."""
QUARTER = 0.25
"""How far another one is, as a share of its range."""
CLOSEST = 6.0
"""The decades that 1-β has below 1 at most: below 1e-7 it is lost in single precision."""
DIGITS = 3
"""The significant digits of an end that was moved."""
ALMOST = 1e-9


@dataclass(frozen=True)
class Range:
    """Where a range begins and ends on its scale: decades of a value or of 1/(1-β), or the value itself."""

    domain: Ranged
    low: float
    high: float

    @property
    def width(self) -> float:
        """How wide it is."""
        return self.high - self.low

    def place(self, value: Any) -> float | None:
        """Return where a value lies, beyond the ends too; None for what has no place on the scale."""
        return _place(self.domain, value)

    def holds(self, place: float) -> bool:
        """Return whether a place lies in the range."""
        return self.low - ALMOST <= place <= self.high + ALMOST

    def has_at_least(self, values: int) -> bool:
        """Return whether a draw can give so many different values."""
        if self.low == self.high:
            return False
        step = _step(self.domain)
        return step is None or (self.domain.max - self.domain.min) / step >= values - 1 - ALMOST

    def is_hard(self, side: Side) -> bool:
        """Return whether a side is one of the domain's hard ends."""
        return self.domain.hard in (True, "min" if side == "lower" else "max")


def scale_of(domain: Domain) -> Range | None:
    """Return a range on its scale; None for what is no range."""
    if not isinstance(domain, Ranged):
        return None
    low, high = _place(domain, domain.ends[0]), _place(domain, domain.ends[1])
    return None if low is None or high is None else Range(domain, low, high)


def _place(domain: Ranged, value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    number = float(value)
    if isinstance(domain, OneMinusLogUniform):
        return -math.log10(one_minus(number)) if number < 1 else None
    if domain.logarithmic:
        return math.log10(number) if number > 0 else None
    return number


def _step(domain: Ranged) -> float | None:
    if isinstance(domain, Integer | LogInteger):
        return domain.step or 1
    return getattr(domain, "step", None)


def rounded(before: Range, low: float, high: float) -> Domain:
    """Return a range's domain with other ends, rounded outwards; an end that stays keeps its digits."""
    domain = before.domain
    ends: dict[str, Any] = {}
    if abs(low - before.low) > ALMOST:
        ends["min"] = _written(domain, low, up=False)
        if low >= before.low:
            ends["min"] = max(ends["min"], domain.min)
    if abs(high - before.high) > ALMOST:
        ends["max"] = _written(domain, high, up=True)
        if high <= before.high:
            ends["max"] = min(ends["max"], domain.max)
    if not ends:
        return domain
    prior = domain.prior
    span = (ends.get("min", domain.min), ends.get("max", domain.max))
    if prior is not None and not span[0] <= float(prior.value) <= span[1]:  # type: ignore[arg-type]
        prior = None
    return replace(domain, **ends, prior=prior)


def _written(domain: Ranged, place: float, up: bool) -> Any:
    """Return the value at a place as one writes it, rounded up or down, on the domain's grid where it has one."""
    if isinstance(domain, OneMinusLogUniform):
        return max(0.0, one_minus(_digits(10**-place, not up)))
    value = 10**place if domain.logarithmic else place
    step = _step(domain)
    if step is None:
        return _digits(value, up)
    steps = (value - domain.min) / step
    steps = math.ceil(steps - 1e-6) if up else math.floor(steps + 1e-6)
    exact = Decimal(repr(domain.min)) + steps * Decimal(repr(step))
    return int(exact) if isinstance(domain, Integer | LogInteger) else float(exact)


def _digits(value: float, up: bool) -> float:
    if value == 0:
        return 0.0
    exact = Decimal(repr(value))
    unit = Decimal(1).scaleb(exact.adjusted() - DIGITS + 1)
    near = exact.quantize(unit)
    if abs(float(near) - value) <= abs(value) * ALMOST:
        return float(near)
    return float(exact.quantize(unit, ROUND_CEILING if up else ROUND_FLOOR))


def widened(there: Range, current: Range, side: Side, is_hard: bool) -> tuple[float | None, str]:
    """Return where a side of a round's range moves out to (None: it stays), and what to say of that.

    Within the space it moves by half of the round's range, beyond the space by a decade on a log scale and else by a
    quarter: never below 0 where nothing was, nor to 1 where all was below it.
    """
    outwards = -1 if side == "lower" else 1
    end, last = (current.low, there.low) if side == "lower" else (current.high, there.high)
    if (last - end) * outwards > ALMOST:
        new = end + outwards * current.width / 2
        return (max(new, last) if side == "lower" else min(new, last)), ""
    if is_hard or there.is_hard(side):
        return None, ", which is hard"
    if isinstance(there.domain, Integer | LogInteger):
        return None, ", and whole numbers stay within the space"
    if (end - last) * outwards > ALMOST:
        return None, ", which is beyond the space already"
    new = _beyond(there, side)
    if abs(new - end) <= ALMOST:
        return None, ", beyond which there is nothing"
    return new, ""


def _beyond(whole: Range, side: Side) -> float:
    """Return the place beyond the end of a space to which a range may be widened."""
    domain = whole.domain
    outwards = -1 if side == "lower" else 1
    if isinstance(domain, OneMinusLogUniform):
        new = (whole.low if side == "lower" else whole.high) + outwards * DECADE
        return max(new, 0.0) if side == "lower" else max(min(new, CLOSEST), whole.high)
    step = DECADE if domain.logarithmic else QUARTER * whole.width
    if domain.step is not None and not domain.logarithmic:
        step = max(domain.step, step // domain.step * domain.step)
    if side == "lower":
        new = whole.low - step
        return max(new, 0.0) if not domain.logarithmic and domain.min >= 0 else new
    new = whole.high + step
    if domain.max > 1:
        return new
    # What lies below 1 may be a share: at most half of the way is left.
    most = (1 + domain.max) / 2
    limit = math.log10(most) if domain.logarithmic else most
    return min(new, limit)
