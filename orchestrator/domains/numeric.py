"""Numbers between two ends: evenly, on a log scale or on that of 1-β; continuous, stepped or whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

from orchestrator.domains.prior import Believed, Prior
from orchestrator.domains.values import (
    Condition,
    Hard,
    InvalidDomain,
    check_hard,
    number_text,
    real,
    whole,
)

Edge = Literal["low", "high"]
NEAR_AN_END = 0.02
MOST_VALUES = 2**53


@dataclass(frozen=True)
class _Between(Believed):
    """Both ends included; with a step, the values are min, min + step, …, up to max."""

    min: float
    max: float
    step: float | None = None
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None
    hard: Hard = False

    distribution: ClassVar[str]
    logarithmic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        low, high = real(self.min, "min"), real(self.max, "max")
        if low > high:
            raise InvalidDomain("expected min no larger than max", f"min {low}, max {high}")
        if self.logarithmic and low <= 0:
            raise InvalidDomain("expected min above 0, since the scale is logarithmic", low)
        if self.step is not None:
            _check_step(real(self.step, "step"), high - low)
        self._check_prior()
        check_hard(self.hard)

    @property
    def countable(self) -> bool:
        """Whether a draw can hit a given value."""
        return self._grid is not None or self.min == self.max

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value that a draw can give."""
        if self._grid is None:
            return self.min, self.max
        return self._on_grid(0), self._on_grid(self._last)

    @property
    def size(self) -> int:
        """How many values a range has whose values can be counted."""
        return self._last + 1

    def at(self, index: int) -> Any:
        """Return the value at a place in the order of a range whose values can be counted."""
        return self._on_grid(index)

    @property
    def _grid(self) -> float | None:
        return self.step

    @property
    def _last(self) -> int:
        """The index of the last value on the grid."""
        # As floats, 0.3 / 0.1 is a hair below 3, and the last value would be lost.
        return int((self.max - self.min) / (self._grid or 1) + 1e-9)

    @property
    def _ends(self) -> tuple[float, float]:
        """The ends of the scale; with a grid half a step beyond, so that both ends get a cell."""
        if self._grid is None:
            return self.min, self.max
        low, top = self.min - self._grid / 2, self._on_grid(self._last) + self._grid / 2
        return (max(low, self.min / 2), top) if self.logarithmic else (low, top)

    def _on_grid(self, index: int) -> float:
        # In decimals: as floats, 3 * 0.1 is 0.30000000000000004, and would be drawn and shown so.
        exact = Decimal(repr(self.min)) + index * Decimal(repr(self._grid or 1))
        return float(exact)

    def from_unit(self, u: float) -> Any:
        """Return the value at the share ``u`` of the probability, 0 <= u < 1 (inverse CDF)."""
        low, high = self._ends
        u = min(max(u, 0.0), 1.0)
        if self.logarithmic:
            value = math.exp(math.log(low) + u * (math.log(high) - math.log(low)))
        else:
            value = low + u * (high - low)
        if self._grid is None:
            return float(min(max(value, self.min), self.max))
        index = math.floor((value - self.min) / self._grid + 0.5)
        return self._on_grid(min(max(index, 0), self._last))

    def to_unit(self, value: float) -> float:
        """Return where ``value`` lies on the domain's own scale, 0 to 1."""
        low, high = self._ends
        if low == high:
            return 0.5
        if self.logarithmic:
            if value <= 0:
                return 0.0
            low, high, value = math.log(low), math.log(high), math.log(value)
        return min(max((value - low) / (high - low), 0.0), 1.0)

    def _cell(self, value: float) -> tuple[float, float]:
        """Return the part of the scale that gives ``value``: that of its rounding where there is a grid."""
        half = (self._grid or 0) / 2
        return self.to_unit(value - half), self.to_unit(value + half)

    def contains(self, value: Any) -> bool:
        """Return whether a draw could give ``value``."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        number = float(value)
        if not self.min <= number <= self.max:
            return False
        if self._grid is None:
            return True
        steps = (number - self.min) / self._grid
        # A value that a person typed, or that was computed, may lie a hair beside its step.
        return abs(steps - round(steps)) < 1e-6

    def edge(self, value: Any) -> Edge | None:
        """Return the end at which ``value`` sits: equal to it, or within 2 % of the scale."""
        if isinstance(value, bool) or not isinstance(value, Real) or self.min == self.max:
            return None
        number, position = float(value), self.to_unit(float(value))
        if position <= NEAR_AN_END or number <= self.min:
            return "low"
        top = self.max if self._grid is None else self._on_grid(self._last)
        return "high" if position >= 1 - NEAR_AN_END or number >= top else None

    def __str__(self) -> str:
        step = "" if self.step is None else f", step={number_text(self.step)}"
        return f"{self.distribution}({number_text(self.min)}, {number_text(self.max)}{step})"


def _check_step(step: float, span: float) -> None:
    if step <= 0:
        raise InvalidDomain("expected step above 0", step)
    if step > span * (1 + 1e-9):
        raise InvalidDomain(f"expected step no larger than max - min, {number_text(span)}", step)
    if span / step > MOST_VALUES:
        raise InvalidDomain("expected at most 2**53 steps between min and max", step)


@dataclass(frozen=True)
class Uniform(_Between):
    """Every value between min and max is equally likely."""

    distribution: ClassVar[str] = "uniform"


@dataclass(frozen=True)
class LogUniform(_Between):
    """Every order of magnitude between min and max is equally likely."""

    distribution: ClassVar[str] = "loguniform"
    logarithmic: ClassVar[bool] = True


@dataclass(frozen=True)
class _WholeBetween(_Between):
    def __post_init__(self) -> None:
        object.__setattr__(self, "min", whole(self.min, "min"))
        object.__setattr__(self, "max", whole(self.max, "max"))
        if self.step is not None:
            object.__setattr__(self, "step", whole(self.step, "step"))
        super().__post_init__()

    @property
    def _grid(self) -> float | None:
        return self.step or 1

    def _on_grid(self, index: int) -> int:
        return int(self.min) + index * int(self.step or 1)

    def contains(self, value: Any) -> bool:
        """Return whether a draw could give ``value``."""
        return isinstance(value, Integral) and super().contains(value)


@dataclass(frozen=True)
class Integer(_WholeBetween):
    """Every whole number from min to max, both included, is equally likely."""

    distribution: ClassVar[str] = "integer"


@dataclass(frozen=True)
class LogInteger(_WholeBetween):
    """Whole numbers from min to max, both included, rounded from a log scale."""

    distribution: ClassVar[str] = "log_integer"
    logarithmic: ClassVar[bool] = True


@dataclass(frozen=True)
class OneMinusLogUniform(Believed):
    """β between min and max, 1-β uniform on a log scale: 0.9…0.99 as likely as 0.99…0.999.

    For (0.9, 0.999), r is uniform in [-3, -1] and 1-β = 10^r; quartiles of β: 0.968, 0.990, 0.9968.
    There is no step: equal steps of β would be unequal on this scale.
    """

    min: float
    max: float
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None
    hard: Hard = False

    distribution: ClassVar[str] = "one_minus_loguniform"

    def __post_init__(self) -> None:
        low, high = real(self.min, "min"), real(self.max, "max")
        if low > high:
            raise InvalidDomain("expected min no larger than max", f"min {low}, max {high}")
        if low < 0:
            raise InvalidDomain("expected min of at least 0, since the bounds are those of β", low)
        if high >= 1:
            raise InvalidDomain("expected max below 1, since 1-β lies on a log scale", high)
        self._check_prior()
        check_hard(self.hard)

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
