"""What trials say of a space: which of them are the best at one rung, and how likely chance alone puts those so."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.schedulers.scheduler import score

FEWEST_BEST = 3
"""Fewer trials than these say nothing of a hyperparameter."""
_ALMOST = 1e-9


@dataclass(frozen=True)
class Rule:
    """How much evidence moves a range, and how far.

    ``keep`` is the share of the trials that are the best; ``margin`` is added on each side, in shares of the original
    range; ``level`` is the chance at which the best count as different from the rest; no range shrinks below
    ``least`` of itself. What is ``hard`` is never widened.
    """

    keep: float = 0.15
    margin: float = 0.1
    level: float = 0.05
    least: float = 0.5
    hard: frozenset[str] | bool = False

    def is_hard(self, name: str) -> bool:
        """Return whether no end of a hyperparameter's range moves beyond the space."""
        return self.hard if isinstance(self.hard, bool) else name in self.hard


@dataclass
class Seen:
    """What is known of a trial: its values by epoch, and how it ended."""

    index: int
    hyperparameters: Mapping[str, Any]
    values: dict[int, float | None] = field(default_factory=dict)
    ending: str | None = None

    @property
    def is_judged(self) -> bool:
        """Whether it says something of its hyperparameters: one that failed or was cut off at once does not."""
        return bool(self.values) or self.ending == "diverged"


@dataclass(frozen=True)
class Ranking:
    """The trials that say something, the best first among those ``best``, compared after ``epoch``."""

    epoch: int
    best: tuple[Seen, ...]
    judged: tuple[Seen, ...]
    ranks: tuple[float, ...]
    """Of all judged trials, 0 the worst: by the last epoch up to that one that a trial reached, then by its value."""


def ranked(seen: Iterable[Seen], mode: str, rule: Rule) -> Ranking | None:
    """Return the best trials, compared at the last epoch that twice as many reached; None where too few did."""
    judged = tuple(sorted((each for each in seen if each.is_judged), key=lambda each: each.index))
    count = max(FEWEST_BEST, math.ceil(rule.keep * len(judged)))
    epochs = sorted({epoch for each in judged for epoch in each.values}, reverse=True)
    # Ever fewer trials reach later epochs, and their values there tell more of the end.
    for epoch in epochs:
        scores = tuple(score(each.values.get(epoch), mode) for each in judged)
        known = [place for place, value in enumerate(scores) if math.isfinite(value)]
        if len(known) >= 2 * count:
            order = sorted(known, key=lambda place: (-scores[place], place))
            best = tuple(judged[place] for place in order[:count])
            return Ranking(epoch, best, judged, _ranks(judged, epoch, mode))
    return None


def _ranks(judged: Sequence[Seen], rung: int, mode: str) -> tuple[float, ...]:
    """Return the rank of each trial, equal ones sharing theirs."""
    standings = []
    for each in judged:
        epoch = max((epoch for epoch in each.values if epoch <= rung), default=0)
        standings.append((epoch, score(each.values.get(epoch), mode)))
    order = sorted(standings)
    return tuple(
        (bisect_left(order, standing) + bisect_right(order, standing) - 1) / 2
        for standing in standings
    )


def hull_chance(best: Sequence[float], among: Sequence[float]) -> float:
    """Return the chance that as many of ``among``, drawn at random, span no more ranks than the best do.

    Exact: of the subsets of k out of n ranks, (n - s) · C(s - 1, k - 2) have their ends s ranks apart. Of equal values
    those count that make the span wider.
    """
    places = sorted(among)
    n, k = len(places), len(best)
    if k < 2 or k >= n:
        return 1.0
    first = bisect_left(places, min(best) - _ALMOST)
    last = bisect_right(places, max(best) + _ALMOST) - 1
    span = last - first
    if span < k - 1:
        return 1.0  # the best are not among them
    fewer = sum((n - s) * math.comb(s - 1, k - 2) for s in range(k - 1, span + 1))
    return min(1.0, fewer / math.comb(n, k))


def end_chance(count: int, best: int, at_end: int, among: int) -> float:
    """Return the chance that at least ``count`` of the best lie where ``at_end`` of ``among`` trials do."""
    most = min(best, at_end)
    many = (
        math.comb(at_end, k) * math.comb(among - at_end, best - k)
        for k in range(count, most + 1)
        if best - k <= among - at_end
    )
    return sum(many) / math.comb(among, best)


def percent(chance: float) -> str:
    """Return a chance as one says it."""
    if chance < 0.001:
        return "less than 0.1 %"
    return f"{100 * chance:.0f} %" if chance >= 0.095 else f"{100 * chance:.1f} %"
