"""Numbers around a middle: normally distributed, or so on a log scale, and cut off at hard bounds where it has some."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any, ClassVar

from orchestrator.domains.numeric import NEAR_AN_END, Edge
from orchestrator.domains.prior import Believed, Prior
from orchestrator.domains.truncated_normal import TruncatedNormal
from orchestrator.domains.values import Condition, InvalidDomain, number_text, real

FARTHEST = 5.0
"""Draws lie so many standard deviations from the middle at most: one in 1.7 million would lie farther out."""


class _Bell(Believed):
    """A normal distribution on the domain's own scale, on which ``_place`` is where a value lies."""

    min: float | None
    max: float | None
    when: tuple[Condition, ...]
    distribution: ClassVar[str]
    countable: ClassVar[bool] = False

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value that a draw can give."""
        return self._value(self._normal.low), self._value(self._normal.high)

    @cached_property
    def _normal(self) -> TruncatedNormal:
        # A bound that lies farther out than draws do cuts nothing off.
        middle, sd = self._shape
        low, high = middle - FARTHEST * sd, middle + FARTHEST * sd
        if self.min is not None:
            low = max(low, self._place(self.min))
        if self.max is not None:
            high = min(high, self._place(self.max))
        return TruncatedNormal(middle, sd, low, high)

    @property
    def _shape(self) -> tuple[float, float]:
        """The mean and the standard deviation on the domain's own scale."""
        raise NotImplementedError

    def _place(self, value: float) -> float:
        return value

    def _value(self, place: float) -> float:
        return place

    def _check(self) -> None:
        """Refuse bounds between which there is nothing, or hardly anything."""
        for bound in ("min", "max"):
            if getattr(self, bound) is not None:
                real(getattr(self, bound), bound)
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise InvalidDomain("expected min below max", f"min {self.min}, max {self.max}")
        if self._normal.low >= self._normal.high:
            expected = f"expected bounds at most {FARTHEST:g} standard deviations off the middle"
            raise InvalidDomain(expected, str(self))
        self._check_prior()

    def from_unit(self, u: float) -> float:
        """Return the value at the share ``u`` of the probability, 0 <= u < 1 (inverse CDF)."""
        # The way to the scale and back may end a rounding error beyond an end.
        low, high = self.ends
        value = self._value(self._normal.quantile(min(max(u, 0.0), 1.0)))
        return float(min(max(value, low), high))

    def to_unit(self, value: float) -> float:
        """Return the share of the probability that lies below ``value``."""
        return self._normal.share(self._place(float(value)))

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` lies within the bounds, however unlikely a draw is to give it."""
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            return False
        low = -math.inf if self.min is None else self.min
        high = math.inf if self.max is None else self.max
        return low <= float(value) <= high

    def edge(self, value: Any) -> Edge | None:
        """Return the bound at which ``value`` sits: within 2 % of the scale. A side without one has no end."""
        if isinstance(value, bool) or not isinstance(value, Real) or not self.contains(value):
            return None
        place, near = (
            self._place(float(value)),
            NEAR_AN_END * (self._normal.high - self._normal.low),
        )
        if self.min is not None and place <= self._place(self.min) + near:
            return "low"
        return "high" if self.max is not None and place >= self._place(self.max) - near else None

    def __str__(self) -> str:
        shape = ", ".join(map(number_text, self._written))
        bounds = [(name, getattr(self, name)) for name in ("min", "max")]
        said = "".join(f", {name}={number_text(end)}" for name, end in bounds if end is not None)
        return f"{self.distribution}({shape}{said})"

    @property
    def _written(self) -> tuple[float, float]:
        raise NotImplementedError


@dataclass(frozen=True)
class Normal(_Bell):
    """Numbers around a mean, two thirds of them at most one standard deviation away."""

    mean: float
    sd: float
    min: float | None = None
    max: float | None = None
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    distribution: ClassVar[str] = "normal"

    def __post_init__(self) -> None:
        real(self.mean, "mean")
        if real(self.sd, "sd") <= 0:
            raise InvalidDomain("expected sd above 0", self.sd)
        self._check()

    @property
    def _shape(self) -> tuple[float, float]:
        return self.mean, self.sd

    @property
    def _written(self) -> tuple[float, float]:
        return self.mean, self.sd


@dataclass(frozen=True)
class LogNormal(_Bell):
    """Numbers around a median, two thirds of them between median / factor and median · factor: normal on a log scale.

    In terms of the natural logarithm, μ = ln(median) and σ = ln(factor).
    """

    median: float
    factor: float
    min: float | None = None
    max: float | None = None
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    distribution: ClassVar[str] = "lognormal"

    def __post_init__(self) -> None:
        if real(self.median, "median") <= 0:
            raise InvalidDomain("expected median above 0; it is e**μ", self.median)
        if real(self.factor, "factor") <= 1:
            raise InvalidDomain("expected factor above 1; it is e**σ", self.factor)
        for bound in ("min", "max"):
            end = getattr(self, bound)
            if end is not None and real(end, bound) <= 0:
                raise InvalidDomain(
                    f"expected {bound} above 0, since the scale is logarithmic", end
                )
        if abs(math.log(self.median)) + FARTHEST * math.log(self.factor) > math.log(1e300):
            raise InvalidDomain("expected median and factor of which draws stay finite", str(self))
        self._check()

    @property
    def _shape(self) -> tuple[float, float]:
        return math.log(self.median), math.log(self.factor)

    @property
    def _written(self) -> tuple[float, float]:
        return self.median, self.factor

    def _place(self, value: float) -> float:
        return math.log(value) if value > 0 else -math.inf

    def _value(self, place: float) -> float:
        value = math.exp(place)
        bounded = value if self.min is None else max(value, self.min)
        return bounded if self.max is None else min(bounded, self.max)

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` is above 0 and within the bounds, however unlikely a draw is to give it."""
        return super().contains(value) and value > 0
