"""A finding about data, and the tests that findings rest on: no chance, and large enough to matter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orchestrator.data import Array

LEVEL = 0.01
"""The false discovery rate of the features that are named; of a single test the p-value."""
SURE = 0.001
LOST = 0.05
"""By how much an accuracy falls before that is a finding."""
FEWEST_ROWS = 20
NAMED = 4


@dataclass(frozen=True)
class Finding:
    """What differs, as a word and as a sentence; how much, and how likely that is by chance."""

    what: str
    said: str
    size: float | None = None
    p: float | None = None
    names: tuple[str, ...] = field(default=())

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**vars(self), "names": list(self.names)}


def ks_distance(
    before: Array, after: Array, rows: tuple[int, int] | None = None
) -> tuple[float, float]:
    """Return Kolmogorov & Smirnov's distance of two samples and its p-value (asymptotic)."""
    from scipy.stats import ks_2samp, kstwobign

    found = ks_2samp(before, after, method="asymp")
    if rows is None:
        return float(found.statistic), float(found.pvalue)
    size = np.sqrt(rows[0] * rows[1] / sum(rows))
    return float(found.statistic), float(kstwobign.sf(found.statistic * size))


def variation(counts: Array) -> tuple[float, float]:
    """Return the total variation of two rows of counts, and the chi-square test's p-value."""
    from scipy.stats import chi2_contingency

    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2 or (counts.sum(axis=1) == 0).any():
        return 0.0, 1.0
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[1] - shares[0]).sum() / 2)
    return distance, float(chi2_contingency(counts, correction=False).pvalue)


def less(then: float, rows_then: int, now: float, rows: int) -> float:
    """Return the one-sided p-value of a share of ``rows`` being as small by chance: the pooled two-proportion test."""
    if not rows_then or not rows:
        return 1.0
    # One right and one wrong row more, so that two perfect scores have an error too.
    share = (then * rows_then + now * rows + 1) / (rows_then + rows + 2)
    error = math.sqrt(share * (1 - share) * (1 / rows_then + 1 / rows))
    return 0.5 * math.erfc((then - now) / error / math.sqrt(2)) if error else 1.0


def controlled_p(p: Array) -> Array:
    """Return p-values adjusted for that many tests, by Benjamini & Hochberg."""
    from scipy.stats import false_discovery_control

    adjusted: Array = false_discovery_control(np.clip(p, 0, 1))
    return adjusted


def listed(names: Sequence[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(str, names[:NAMED])) + more
