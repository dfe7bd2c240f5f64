"""How far a validation metric may be off, and whether a trial that looks worse may be among the best all the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

DOUBT = 0.3
"""A trial that is among the best with at least this chance goes on."""
SHARES = frozenset(
    f"val_{name}"
    for name in (
        "accuracy",
        "binary_accuracy",
        "categorical_accuracy",
        "sparse_categorical_accuracy",
        "top_k_categorical_accuracy",
        "sparse_top_k_categorical_accuracy",
    )
)
"""Metrics that are a share of the validation rows, each of which counts once."""


@dataclass(frozen=True)
class Noise:
    """The standard error of a metric: the same ``error`` everywhere or, of a share of ``rows`` rows, the binomial one.

    Values are scores, of which more is better: a metric that is to be small has its sign changed.
    """

    error: float = 0.0
    rows: int | None = None

    def of(self, score: float) -> float:
        """Return the standard error of a score.

        A share p of n rows has sqrt(p (1 - p) / n), with one more row of each kind, so that a perfect one is not taken
        for certain (Agresti and Coull 1998).
        """
        if self.rows is None:
            return self.error
        share = (abs(score) * self.rows + 1) / (self.rows + 2)
        return math.sqrt(max(share * (1 - share), 0.0) / (self.rows + 2))

    def may_pass(self, score: float, cutoff: float) -> bool:
        """Return whether a score's true value is at least the cutoff's with a chance of ``DOUBT`` or more."""
        if not math.isfinite(score):
            return False
        apart = math.hypot(self.of(score), self.of(cutoff))
        if not apart:
            return score >= cutoff
        return 0.5 * math.erfc((cutoff - score) / apart / math.sqrt(2)) >= DOUBT
