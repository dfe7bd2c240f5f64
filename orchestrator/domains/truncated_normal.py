"""A normal distribution between two ends: quantiles, shares and densities, exact far out in its tails too."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

_STANDARD = NormalDist()


@dataclass(frozen=True)
class TruncatedNormal:
    """Normal with this mean and standard deviation, and nothing outside of low to high."""

    mean: float
    sd: float
    low: float
    high: float

    def quantile(self, u: float) -> float:
        """Return the value below which the share ``u`` of the probability lies."""
        low, high = self._ends
        if low > 0:  # shares below are too near to 1 there to be told apart; those above are not
            share = _below(-low) - u * (_below(-low) - _below(-high))
            z = -_inverse(share)
        else:
            z = _inverse(_below(low) + u * (_below(high) - _below(low)))
        return min(max(self.mean + self.sd * z, self.low), self.high)

    def share(self, value: float) -> float:
        """Return the share of the probability that lies below ``value``."""
        low, high = self._ends
        z = min(max((value - self.mean) / self.sd, low), high)
        return _between(low, z) / self._mass

    def density(self, value: float) -> float:
        """Return the density at ``value``, 0 outside of the ends."""
        if not self.low <= value <= self.high:
            return 0.0
        return _STANDARD.pdf((value - self.mean) / self.sd) / self.sd / self._mass

    @property
    def _ends(self) -> tuple[float, float]:
        return (self.low - self.mean) / self.sd, (self.high - self.mean) / self.sd

    @property
    def _mass(self) -> float:
        return _between(*self._ends)


def _below(z: float) -> float:
    return 0.5 * math.erfc(-z / math.sqrt(2))


def _between(low: float, high: float) -> float:
    return _below(-low) - _below(-high) if low > 0 else _below(high) - _below(low)


def _inverse(share: float) -> float:
    if not 0 < share < 1:
        return -math.inf if share <= 0 else math.inf
    return _STANDARD.inv_cdf(share)
