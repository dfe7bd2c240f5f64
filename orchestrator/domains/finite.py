"""A few named values, or a single one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from orchestrator.domains.numeric import Edge
from orchestrator.domains.prior import Prior
from orchestrator.domains.values import Condition, InvalidDomain, Scalar, same, write_word

FEWEST_WITH_EDGES = 3


@dataclass(frozen=True)
class Choice:
    """One of a few values, each equally likely."""

    values: tuple[Scalar, ...]
    when: tuple[Condition, ...] = ()
    prior: Prior | None = None

    distribution: ClassVar[str] = "choice"
    countable: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))
        if not self.values:
            raise InvalidDomain("expected at least one value to choose from", [])
        for position, value in enumerate(self.values):
            _check_plain(value)
            if any(same(value, other) for other in self.values[:position]):
                raise InvalidDomain("expected each value of a choice once", value)
        if self.prior is not None and not self.contains(self.prior.value):
            raise InvalidDomain(f"expected a prior that {self} can take", self.prior.value)

    def from_unit(self, u: float) -> Scalar:
        """Return the value at the share ``u`` of the probability, 0 <= u < 1."""
        count = len(self.values)
        return self.values[min(max(int(u * count), 0), count - 1)]

    def to_unit(self, value: Any) -> float:
        """Return the middle of the share that ``value`` has of 0 to 1; 0.5 for an unknown one."""
        for position, known in enumerate(self.values):
            if same(known, value):
                return (position + 0.5) / len(self.values)
        return 0.5

    def prior_from_unit(self, u: float) -> Scalar:
        """Return the value at the share ``u`` of the prior's weights; of equal ones where there is no prior."""
        # Densities are relative to equal shares: they add up to the number of values.
        left = u * len(self.values)
        for value in self.values:
            left -= self.prior_pdf(value)
            if left < 0:
                return value
        return self.values[-1]

    def prior_pdf(self, value: Any) -> float:
        """Return how many times as likely the prior makes ``value`` as a plain draw; 0 for an unknown one."""
        if not self.contains(value):
            return 0.0
        if self.prior is None:
            return 1.0
        count, weight = len(self.values), self.prior.weight
        return (weight if same(value, self.prior.value) else 1) * count / (weight + count - 1)

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` is one of them."""
        return any(same(known, value) for known in self.values)

    def edge(self, value: Any) -> Edge | None:
        """Return the end at which ``value`` sits among at least three numbers; None for words."""
        numbers = [v for v in self.values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) < max(FEWEST_WITH_EDGES, len(self.values)) or not self.contains(value):
            return None
        if value == min(numbers):
            return "low"
        return "high" if value == max(numbers) else None

    def __str__(self) -> str:
        return f"choice([{', '.join(write_word(value) for value in self.values)}])"


@dataclass(frozen=True)
class Fixed:
    """One value for every trial."""

    value: Scalar
    when: tuple[Condition, ...] = ()

    distribution: ClassVar[str] = "fixed"
    countable: ClassVar[bool] = True
    prior: ClassVar[Prior | None] = None

    def __post_init__(self) -> None:
        _check_plain(self.value)

    def from_unit(self, u: float) -> Scalar:
        """Return the value, whatever ``u`` is."""
        return self.value

    def to_unit(self, value: Any) -> float:
        """Return 0.5: there is nowhere else to be."""
        return 0.5

    def prior_from_unit(self, u: float) -> Scalar:
        """Return the value, whatever ``u`` is."""
        return self.value

    def prior_pdf(self, value: Any) -> float:
        """Return 1 for the value, 0 for any other."""
        return float(self.contains(value))

    def contains(self, value: Any) -> bool:
        """Return whether ``value`` is the one."""
        return same(self.value, value)

    def edge(self, value: Any) -> Edge | None:
        """Return None: a single value has no ends."""
        return None

    def __str__(self) -> str:
        return write_word(self.value)


def _check_plain(value: Any) -> None:
    if isinstance(value, float) and not abs(value) < float("inf"):
        raise InvalidDomain("expected a finite number", value)
    if isinstance(value, list | tuple):
        raise InvalidDomain(
            "expected one of choice([a, b, c]), another domain, or a plain value", value
        )
    if not (value is None or isinstance(value, str | int | float | bool)):
        raise InvalidDomain("expected a plain value: text, a number, true, false or null", value)
