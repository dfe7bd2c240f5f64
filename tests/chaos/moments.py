"""When a shot is fired: somewhere in the run, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.chaos.driver import LONGEST, Driver, until

START_SECONDS = 9.0
"""About how long a driver takes until the first epoch is recorded."""
STARTS = 0.2
"""Share of the moments that lie in a driver's start."""

EXAMINATIONS = 0.3
"""Share of the runs whose last moment comes after the last epoch, while the winner is examined."""


@dataclass(frozen=True)
class Moment:
    """A moment: seconds after the driver's start, or a share of the run's epochs recorded and a little more."""

    seconds: float
    share: float | None = None

    def __str__(self) -> str:
        after = "its start" if self.share is None else f"{self.share:.0%} of the epochs"
        return f"{self.seconds:.2f} s after {after}"

    def wait(self, driver: Driver, epochs: int) -> bool:
        """Wait for it; return whether the driver is still there to be hit."""
        if self.share is not None:
            # One epoch more than there is: a driver that only repeats what is known has done nothing yet.
            goal = min(epochs, max(driver.life.lines() + 1, round(self.share * epochs)))
            until(lambda: driver.life.lines() >= goal or driver.code is not None, LONGEST)
            since = driver.seconds
        else:
            since = 0.0
        until(lambda: driver.seconds >= since + self.seconds or driver.code is not None, 60)
        return driver.code is None


def draw_moments(random: Random, many: int) -> list[Moment]:
    """Return moments in the order in which one run can be hit at them."""
    shares = sorted(random.random() for _ in range(many))
    if many > 1 and random.random() < EXAMINATIONS:
        shares[-1] = 1.0
    early = [random.random() < STARTS for _ in range(many)]
    return [
        Moment(random.uniform(0.5, START_SECONDS)) if at_start else Moment(random.random(), share)
        for share, at_start in zip(shares, early, strict=True)
    ]
