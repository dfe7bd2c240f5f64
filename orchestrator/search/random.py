"""Random search: the i-th configuration of a seed is a pure function of (space, seed, i)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from orchestrator.domains import Space
from orchestrator.records import trial_name
from orchestrator.search.plan import TrialSpec


@dataclass(frozen=True)
class Draws(Sequence[TrialSpec]):
    """The first ``length`` trials of a random search, each drawn when it is looked at.

    Trial i of a seed is the same whoever looks, and however many there are.
    """

    space: Space
    seed: int
    length: int

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, index: int) -> TrialSpec: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[TrialSpec, ...]: ...

    def __getitem__(self, index: int | slice) -> TrialSpec | tuple[TrialSpec, ...]:
        if isinstance(index, slice):
            return tuple(self[each] for each in range(*index.indices(self.length)))
        at = range(self.length)[index]
        drawn = self.space.draw(self.seed, at)
        return TrialSpec(trial_name(at), at, trial_seed(self.seed, at), drawn)


def draw_trials(space: Space, seed: int, count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return configurations ``first`` to ``first + count - 1`` of ``seed``; nothing earlier need be drawn."""
    return [space.draw(seed, index) for index in range(first, first + count)]


def trial_seed(seed: int, index: int) -> int:
    """Return the seed of trial ``index``'s weights and shuffling, a 31-bit integer."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0] & 0x7FFFFFFF)
