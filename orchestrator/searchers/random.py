"""Random search: the i-th configuration of a seed is a pure function of (space, seed, i)."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestrator.domains import Space


def draw_trials(space: Space, seed: int, count: int, first: int = 0) -> list[dict[str, Any]]:
    """Return configurations ``first`` to ``first + count - 1`` of ``seed``; nothing earlier need be drawn."""
    return [space.draw(seed, index) for index in range(first, first + count)]


def trial_seed(seed: int, index: int) -> int:
    """Return the seed of trial ``index``'s weights and shuffling, a 31-bit integer."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0] & 0x7FFFFFFF)
