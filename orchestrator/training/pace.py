"""How much of an epoch is trained at once."""

from __future__ import annotations

PART_SECONDS = 10.0
"""What a part of an epoch takes. An epoch that is over sooner is one part, and costs what it did."""


class Pace:
    """Says how many steps to train at once, from what the steps before took.

    The very first part is one step, which tells too much where something is compiled in it: the next part is then
    shorter than it might be, never longer.
    """

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._batch_size = 1

    def steps(self, batch_size: int) -> int:
        """Return how many steps of ``batch_size`` rows to train at once."""
        if self._seconds is None:
            return 1
        # A larger batch takes at most as much longer as it has more rows; a smaller one takes no longer.
        seconds = self._seconds * max(1.0, batch_size / self._batch_size)
        return max(1, int(PART_SECONDS / seconds))

    def note(self, batch_size: int, steps: int, seconds: float) -> None:
        """Learn what so many steps took."""
        self._seconds = max(seconds / steps, 1e-9)
        self._batch_size = batch_size
