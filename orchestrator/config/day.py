"""The length of a panda's day."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Unit = Literal["epoch", "second", "minute", "hour", "step"]

WRITTEN = r"[1-9][0-9]{0,8} (epoch|second|minute|hour|step)s?"
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True)
class Day:
    """So many epochs, steps, or so much training time.

    >>> str(Day.parse("3 epochs"))
    '3 epochs'
    """

    amount: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Day:
        """Return the day written as ``3 epochs``; raise ``ValueError`` where it is none."""
        if not re.fullmatch(WRITTEN, text):
            raise ValueError(text)
        amount, unit = text.removesuffix("s").split(" ")
        return cls(int(amount), unit)  # type: ignore[arg-type]

    def reached(self, epochs: int, seconds: float, steps: int) -> bool:
        """Return whether a day is over after so much training since it began.

        A model is only ever changed or kept between two epochs, so a day of minutes or steps ends
        with the epoch in which they run out.
        """
        if self.unit == "epoch":
            return epochs >= self.amount
        if self.unit == "step":
            return steps >= self.amount
        return seconds >= self.amount * _SECONDS[self.unit]

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}{'' if self.amount == 1 else 's'}"
