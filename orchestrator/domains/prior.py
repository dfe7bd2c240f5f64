"""What is believed of a hyperparameter before any trial: a good value, and how sure of it one is.

On a domain's own scale, 0 to 1, a prior is a normal distribution around its value, cut off at both ends; among the
values of a choice it is a weight. Plain random search takes no notice of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from orchestrator.domains.truncated_normal import TruncatedNormal
from orchestrator.domains.values import InvalidDomain, Scalar

Confidence = Literal["low", "medium", "high"]
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)
WIDTHS: dict[Confidence, float] = {"low": 0.5, "medium": 0.25, "high": 0.125}
"""Standard deviations, as shares of the scale."""
WEIGHTS: dict[Confidence, float] = {"low": 2, "medium": 4, "high": 8}
"""How many times as likely the value of a choice is as each of the others."""


@dataclass(frozen=True)
class Prior:
    """A value that is believed to be good, and with what confidence."""

    value: Scalar
    confidence: Confidence = "medium"

    def __post_init__(self) -> None:
        if self.confidence not in CONFIDENCES:
            raise InvalidDomain("unknown confidence", self.confidence, CONFIDENCES)

    @property
    def weight(self) -> float:
        """How many times as likely the value of a choice is as each of the others."""
        return WEIGHTS[self.confidence]


class Believed:
    """What every domain of numbers makes of its prior."""

    prior: Prior | None

    def prior_from_unit(self, u: float) -> Any:
        """Return the value at the share ``u`` of the prior's probability; of the domain's where it has none."""
        return self.from_unit(self._believed.quantile(u) if self.prior else u)

    def prior_pdf(self, value: Any) -> float:
        """Return how many times as likely the prior makes ``value`` as a plain draw; 0 outside, 1 without a prior."""
        if not self.contains(value):
            return 0.0
        if self.prior is None or self.from_unit(0.0) == self.from_unit(1.0):
            return 1.0
        believed, (low, high) = self._believed, self._cell(value)
        if low == high:
            return believed.density(low)
        return (believed.share(high) - believed.share(low)) / (high - low)

    @property
    def _believed(self) -> TruncatedNormal:
        if self.prior is None:
            raise ValueError("expected a domain with a prior")
        at = self.to_unit(self.prior.value)
        return TruncatedNormal(at, WIDTHS[self.prior.confidence], 0.0, 1.0)

    def _check_prior(self) -> None:
        if self.prior is not None and not self.contains(self.prior.value):
            raise InvalidDomain(f"expected a prior that {self} can take", self.prior.value)

    def _cell(self, value: Any) -> tuple[float, float]:
        """Return the part of the scale that gives ``value``: a single point where values are not countable."""
        at = self.to_unit(value)
        return at, at

    def from_unit(self, u: float) -> Any:
        """Return the value at the share ``u`` of the domain's probability."""
        raise NotImplementedError

    def to_unit(self, value: Any) -> float:
        """Return where ``value`` lies on the domain's own scale, 0 to 1."""
        raise NotImplementedError

    def contains(self, value: Any) -> bool:
        """Return whether a draw could give ``value``."""
        raise NotImplementedError
