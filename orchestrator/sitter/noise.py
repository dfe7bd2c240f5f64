"""How much of a change is noise."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

_MAD_TO_SIGMA = 1.4826  # for a normal distribution: 1 / Φ⁻¹(3/4)


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


def standard_error_of_share(share: float, rows: int) -> float:
    """Return √(p(1-p)/n): of an accuracy p over n independent rows (the binomial's, after Wald)."""
    return math.sqrt(share * (1 - share) / rows)


def deviation_of_differences(values: Sequence[float]) -> float:
    """Return the standard deviation of the differences between neighbours; 0 below three values.

    A gain is itself a difference of two days, so this is its noise, with no factor of √2. It is
    estimated by the median absolute deviation from the median, times 1.4826 (Rousseeuw and Croux
    1993, JASA 88): the great steps of the first days would otherwise pass for noise and turn a
    model that still learns into a plateau.
    """
    if len(values) < 3:
        return 0.0
    differences = [after - before for before, after in pairwise(values)]
    middle = statistics.median(differences)
    return _MAD_TO_SIGMA * statistics.median([abs(each - middle) for each in differences])
