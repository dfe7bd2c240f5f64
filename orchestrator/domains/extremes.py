"""The values of a domain that stand for all of them: where each is possible, so is every draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.parse import Domain

INSIDE = 0.381966
"""A share of the probability at which no range of round ends has a round value."""


@dataclass(frozen=True)
class Extreme:
    """A value that a draw can give, and what it is in its domain; no words for the only value there is."""

    value: Any
    place: str = ""


def extremes(domain: Domain) -> Iterator[Extreme]:
    """Yield every value of a finite domain; of a range its ends, and one value between them."""
    match domain:
        case Fixed():
            yield Extreme(domain.value)
        case Choice():
            yield from (Extreme(value, f"one of {domain}") for value in domain.values)
        case _:
            low, high = domain.ends
            yield Extreme(low, f"the lower end of {domain}")
            if low < high:
                yield Extreme(high, f"the upper end of {domain}")
                # The second of a grid is whole where all others are.
                step = getattr(domain, "step", None)
                inside = domain.from_unit(INSIDE) if step is None else low + step
                yield Extreme(inside, f"a value of {domain}")
