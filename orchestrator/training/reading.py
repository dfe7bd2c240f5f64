"""A pass over streamed training rows, in parts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.training.learner import Epoch
    from orchestrator.training.task import LabelForm


class Reading:
    """One epoch's pass over a stream; a worker has one at a time, since rows wait in memory and files are open."""

    def __init__(self, batches: Callable[..., Iterator[Any]]) -> None:
        self._pass = batches
        self._epoch: tuple[Epoch, LabelForm] | None = None
        self._batches: Iterator[Any] = iter(())
        self._next: Any = None
        self.read = 0

    @property
    def over(self) -> bool:
        """Return whether there is no further batch."""
        return self._next is None

    def go_to(self, epoch: Epoch, done: int, labels: LabelForm) -> None:
        """Stand after ``done`` batches of an epoch; what lies before is read again unless it was read just now."""
        if (self._epoch, self.read) == ((epoch, labels), done) and done:
            return
        seed = epoch.seed + epoch.number
        batches = self._pass("train", labels, epoch.batch_size, seed, epoch.number)
        self._epoch, self.read = (epoch, labels), done
        self._batches = itertools.islice(batches, done, None)
        self._next = next(self._batches, None)

    def batches(self, steps: int | None) -> Iterator[Any]:
        """Yield the next ``steps`` batches, fewer where the epoch ends before; None: all that are left.

        A batch counts as read before it is given away: whoever fetches ahead may ask for one more at any time.
        """
        for _ in itertools.count() if steps is None else range(steps):
            batch = self._next
            if batch is None:
                return
            self._next = next(self._batches, None)
            self.read += 1
            yield batch
