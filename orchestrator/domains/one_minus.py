"""Numbers just below 1, such as momentum: what matters is how far below, on a log scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any, ClassVar

from orchestrator.domains.conditions import Condition
from orchestrator.domains.numeric import NEAR_AN_END, Edge
from orchestrator.domains.refusal import Refused
from orchestrator.domains.words import number_text, real


@dataclass(frozen=True)
class OneMinusLogUniform:
    """β between min and max, 1-β uniform on a log scale: 0.9…0.99 as likely as 0.99…0.999.

    For (0.9, 0.999), r is uniform in [-3, -1] and 1-β = 10^r; quartiles of β: 0.968, 0.990, 0.9968.
    There is no step: equal steps of β would be unequal on this scale.
    """

    min: float
    max: float
    when: tuple[Condition, ...] = ()

    distribution: ClassVar[str] = "one_minus_loguniform"

    def __post_init__(self) -> None:
        low, high = real(self.min, "min"), real(self.max, "max")
        if low > high:
            raise Refused("expected min no larger than max", f"min {low}, max {high}")
        if low < 0:
            raise Refused("expected min of at least 0, since the bounds are those of β", low)
        if high >= 1:
            raise Refused("expected max below 1, since 1-β lies on a log scale", high)

    @property
    def countable(self) -> bool:
        """Whether a draw can hit a given value."""
        return self.min == self.max

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest β that a draw can give."""
        return self.min, self.max

    @property
    def _logs(self) -> tuple[float, float]:
        return math.log(one_minus(self.min)), math.log(one_minus(self.max))

    def complement_from_unit(self, u: float) -> float:
        """Return 1-β at the share ``u`` of β's probability, without the detour over β."""
        low, high = self._logs
        value = math.exp(low + min(max(u, 0.0), 1.0) * (high - low))
        return min(max(value, one_minus(self.max)), one_minus(self.min))

    def from_unit(self, u: float) -> float:
        """Return β at the share ``u`` of the probability, 0 <= u < 1 (inverse CDF)."""
        return float(min(max(1 - self.complement_from_unit(u), self.min), self.max))

    def to_unit(self, value: float) -> float:
        """Return where β lies on the log scale of 1-β: 0 at min, 1 at max."""
        low, high = self._logs
        if low == high:
            return 0.5
        if value >= 1:
            return 1.0
        return min(max((math.log(one_minus(value)) - low) / (high - low), 0.0), 1.0)

    def contains(self, value: Any) -> bool:
        """Return whether a draw could give ``value``."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        return self.min <= float(value) <= self.max

    def edge(self, value: Any) -> Edge | None:
        """Return the end at which β sits: within 2 % of the scale."""
        if isinstance(value, bool) or not isinstance(value, Real) or self.min == self.max:
            return None
        position = self.to_unit(float(value))
        if position <= NEAR_AN_END:
            return "low"
        return "high" if position >= 1 - NEAR_AN_END else None

    def __str__(self) -> str:
        return f"{self.distribution}({number_text(self.min)}, {number_text(self.max)})"


def one_minus(value: float) -> float:
    """Return 1-β as one writes it: 0.1 for 0.9, where floating point gives 0.09999999999999998."""
    return float(1 - Decimal(repr(float(value))))
