"""What a searcher that learns was told, put in order: best first, at epochs that can be compared.

Trials are compared at the highest epoch that enough of them have reached. One that has not come so far stands behind
those that have, by its value at its own last epoch: a scheduler stopped it there, or it is on its way. Diverged and
failed ones come last. One that began and has not reported is pending.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from orchestrator.searchers.searcher import Observation

BAD = ("diverged", "failed")
MOST_PENDING = 64
Key = tuple[bool, int, float, int, str]


@dataclass(eq=False)
class Standing:
    """A trial as it stands: its metric by epoch, and how it ended; None while it goes on."""

    trial: str
    hyperparameters: Mapping[str, Any]
    values: dict[int, float] = field(default_factory=dict)
    ending: str | None = None

    @property
    def order(self) -> tuple[int, str]:
        """Where it stands in the order of drawing, which its name tells."""
        return len(self.trial), self.trial

    def epoch(self, level: int) -> int:
        """Return the last epoch with a value up to ``level``, else the first one after it; 0 where there is none."""
        if level in self.values or not self.values:
            return level if self.values else 0
        before = [epoch for epoch in self.values if epoch < level]
        return max(before) if before else min(self.values)


@dataclass(frozen=True)
class Evidence:
    """A part of what was told, small enough to fit a model on: trials in the order of drawing.

    ``ranks`` says how many trials of all are better than each, ``values`` how good each is at the epoch at which they
    are compared (more is better; None where it has not come there, or is bad), ``pending`` which have no value yet.
    """

    trials: tuple[Standing, ...]
    ranks: tuple[int, ...]
    values: tuple[float | None, ...]
    pending: tuple[Standing, ...]

    @property
    def comparable(self) -> Evidence:
        """The same with ranks among these trials alone and nothing pending: equal where a model of it would be."""
        places = {rank: place for place, rank in enumerate(sorted(self.ranks))}
        ranks = tuple(places[rank] for rank in self.ranks)
        return Evidence(self.trials, ranks, self.values, ())


class Told:
    """All that was told of trials, in whatever order between them; a thing that is told twice counts once.

    ``enough`` is how many trials have to reach an epoch for it to be the one at which trials are compared.
    """

    def __init__(self, mode: str, enough: int) -> None:
        self._sign = -1 if mode == "max" else 1
        self._enough = enough
        self._trials: dict[str, Standing] = {}
        self._reached: Counter[int] = Counter()
        self._keys: dict[str, Key] = {}
        self._ranked: list[Key] = []
        self._in_order: list[tuple[int, str]] = []
        self._pending: dict[str, Standing] = {}
        self.level = 0

    def tell(self, seen: Observation) -> None:
        """Take in what has become of a trial."""
        standing = self._trials.get(seen.trial)
        if standing is None:
            standing = Standing(seen.trial, dict(seen.hyperparameters))
            self._trials[seen.trial] = standing
        standing.ending = seen.ending
        if seen.epoch and seen.value is not None and seen.epoch not in standing.values:
            standing.values[seen.epoch] = float(seen.value)
            self._reached[seen.epoch] += math.isfinite(seen.value)
            if seen.epoch > self.level and self._reached[seen.epoch] >= self._enough:
                self.level = seen.epoch
                for each in self._trials.values():
                    self._place(each)
        self._place(standing)

    @property
    def known(self) -> int:
        """How many trials have shown what they are worth."""
        return len(self._ranked)

    def best(self, count: int) -> list[Standing]:
        """Return the best ``count`` trials, best first; none that is bad."""
        return [self._trials[key[-1]] for key in self._ranked[:count] if not key[0]]

    def epoch_of(self, standing: Standing) -> int:
        """Return the epoch at which a trial is compared with others."""
        return standing.epoch(self.level or max(standing.values, default=0))

    def is_bad(self, standing: Standing) -> bool:
        """Return whether a trial diverged, failed, or has no number for its value."""
        value = standing.values.get(self.epoch_of(standing), 0.0)
        return standing.ending in BAD or not math.isfinite(value)

    def evidence(self, best: int, newest: int, first: int | None = None) -> Evidence:
        """Return the ``best`` and the ``newest`` of the trials whose worth is known, and the newest pending ones.

        ``first``: of so many trials, in the order of drawing, and not of all.
        """
        known = self._in_order if first is None else self._in_order[:first]
        ranked = (key for key in self._ranked if not known or key[-2:] <= known[-1])
        names = {key[-1] for key in islice(ranked, best)}
        names |= {name for _, name in known[-newest:]}
        trials = sorted((self._trials[name] for name in names), key=lambda each: each.order)
        ranks = (bisect_left(self._ranked, self._keys[each.trial]) for each in trials)
        pending = sorted(self._pending.values(), key=lambda each: each.order)
        values = tuple(self._value(each) for each in trials)
        return Evidence(tuple(trials), tuple(ranks), values, tuple(pending[-MOST_PENDING:]))

    def _value(self, standing: Standing) -> float | None:
        """Return how good a trial is among those that can be compared; None where it is none of them."""
        epoch = self.epoch_of(standing)
        if self.is_bad(standing) or epoch < self.level or epoch not in standing.values:
            return None
        return -self._sign * standing.values[epoch]

    def _place(self, standing: Standing) -> None:
        """Put a trial where it belongs among those whose worth is known, or among the pending ones."""
        name, new = standing.trial, self._key(standing)
        old = self._keys.pop(name, None)
        if old != new:
            if old is not None:
                self._ranked.pop(bisect_left(self._ranked, old))
            if new is not None:
                insort(self._ranked, new)
            if old is None:
                insort(self._in_order, standing.order)
            elif new is None:
                self._in_order.pop(bisect_left(self._in_order, standing.order))
        self._pending.pop(name, None)
        if new is not None:
            self._keys[name] = new
        elif standing.ending is None:
            self._pending[name] = standing

    def _key(self, standing: Standing) -> Key | None:
        """Return what trials are ordered by, the best least; None where nothing is known of it."""
        epoch = self.epoch_of(standing)
        if self.is_bad(standing):
            return (True, 0, 0.0, *standing.order)
        if not epoch:
            return None
        return (
            False,
            -min(epoch, self.level or epoch),
            self._sign * standing.values[epoch],
            *standing.order,
        )
