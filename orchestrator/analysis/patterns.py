"""Patterns in trials and curves that the rules of ``diagnosis`` look for; numbers in, numbers out."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import NormalDist, correlation, fmean, median

from orchestrator.search.evidence import end_chance
from orchestrator.search.scales import Side

LEVEL = 0.05
FEWEST_PAIRS = 6


@dataclass(frozen=True)
class Region:
    """The part of a scale beyond ``place`` on a side: ``hit`` of its ``count`` trials, ``hit_elsewhere`` of the others.

    ``chance``: that so many lie there, wherever the cut, if they lay anywhere.
    """

    place: float
    side: Side
    hit: int
    count: int
    hit_elsewhere: int
    count_elsewhere: int
    chance: float


def region(places: Sequence[float], hits: Sequence[bool], sides: Sequence[Side]) -> Region | None:
    """Return the end of a scale in which hits gather most; None where there is no cut.

    The chance is hypergeometric (Fisher's exact test), times the number of cuts that were tried (Bonferroni).
    """
    total, among = sum(hits), len(hits)
    ordered = sorted(set(places))
    cuts = [(low + high) / 2 for low, high in pairwise(ordered)]
    found: list[Region] = []
    for side in sides:
        for cut in cuts:
            inside = [
                h for p, h in zip(places, hits, strict=True) if (p > cut) == (side == "upper")
            ]
            hit, count = sum(inside), len(inside)
            chance = end_chance(hit, total, count, among) * len(cuts) * len(sides)
            found.append(
                Region(cut, side, hit, count, total - hit, among - count, min(1.0, chance))
            )
    # Of cuts that say as much, the one with fewer misses on both sides.
    return min(found, key=lambda r: (r.chance, r.count - r.hit + r.hit_elsewhere), default=None)


def share_chance(count: int, of: int, share: float) -> float:
    """Return the chance that at least ``count`` of so many lie where a ``share`` of all draws does."""
    many = (math.comb(of, k) * share**k * (1 - share) ** (of - k) for k in range(count, of + 1))
    return min(1.0, sum(many))


def rank_chance(pairs: Sequence[tuple[float, float]]) -> float:
    """Return the chance that pairs rise together as much by their ranks: Spearman's, one-sided, normal approximation.

    Its variance without any relation is 1/(n - 1) (Kendall & Gibbons, "Rank Correlation Methods", 1990, section 4.14).
    """
    if len(pairs) < FEWEST_PAIRS:
        return 1.0
    first, second = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    if len(set(first)) < 2 or len(set(second)) < 2:
        return 1.0
    return 1 - NormalDist().cdf(correlation(first, second) * math.sqrt(len(pairs) - 1))


def _ranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank, equal ones sharing theirs."""
    ordered = sorted(values)
    return [(bisect_left(ordered, v) + bisect_right(ordered, v) - 1) / 2 for v in values]


def rise(values: Sequence[float], noise: float) -> float | None:
    """Return what the last third of a curve gained over the third before it, as a share of the curve's whole gain.

    More is better in ``values``; ``noise`` is the standard deviation of an epoch around a curve's course. None where
    the best lies before the last quarter, where the gain is within three standard errors (the curves that are looked
    at were chosen by their best epochs), or where there are fewer than three epochs.
    """
    count = len(values)
    if count < 3 or not all(map(math.isfinite, values)):
        return None
    part = count // 3
    last, before = values[-part:], values[-2 * part : -part]
    best = max(range(count), key=lambda place: values[place])
    gained, whole = fmean(last) - fmean(before), max(values) - values[0]
    if best < count - math.ceil(count / 4) or whole <= 0:
        return None
    return gained / whole if gained > 3 * noise * math.sqrt(2 / part) else None


def movement(curves: Iterable[Sequence[float]]) -> float:
    """Return the standard deviation of epochs around the curves' courses, over the last two thirds of each.

    From second differences, of which a straight course has none: each has six times the variance of an epoch.
    """
    squares = [
        (a - 2 * b + c) ** 2
        for curve in curves
        for a, b, c in zip(*(curve[len(curve) // 3 + k :] for k in range(3)), strict=False)
    ]
    finite = [each for each in squares if math.isfinite(each)]
    return math.sqrt(fmean(finite) / 6) if finite else 0.0


@dataclass(frozen=True)
class Overfit:
    """A curve whose validation loss rose from its lowest while its training loss fell: (epoch, loss) then and now."""

    epoch: int
    lowest: float
    now: float
    training_then: float
    training_now: float


def overfit(training: Sequence[float], validation: Sequence[float], rise: float) -> Overfit | None:
    """Return how a curve overfits; None where its last third's validation loss is not ``rise`` above the lowest.

    Both smoothed over a ninth of the epochs, so that one lucky epoch is no lowest point.
    """
    count = len(validation)
    if count < 6 or not all(map(math.isfinite, (*training, *validation))):
        return None
    width = max(1, count // 9)
    smooth = [fmean(validation[max(0, at - width) : at + width + 1]) for at in range(count)]
    lowest = min(range(count), key=lambda place: smooth[place])
    third = count // 3
    now, training_now = median(validation[-third:]), median(training[-third:])
    rose = now > (1 + rise) * smooth[lowest] and min(validation[-third:]) > smooth[lowest]
    if lowest >= count - third or not rose or training_now >= training[lowest]:
        return None
    return Overfit(lowest + 1, smooth[lowest], now, training[lowest], training_now)


def behind_chance(these: Sequence[float], others: Sequence[float]) -> float:
    """Return the chance that values so far behind others come from the same: Mann and Whitney's test, one-sided."""
    from scipy.stats import mannwhitneyu

    if len(these) < 3 or len(others) < 3:
        return 1.0
    return float(mannwhitneyu(these, others, alternative="less").pvalue)


def difference_noise(first: float, second: float, rows: Sequence[int | None]) -> float | None:
    """Return the standard error of the difference of two accuracies, None where they are none."""
    if None in rows or min(first, second) < 0 or max(first, second) > 1:
        return None
    variances = (p * (1 - p) / n for p, n in zip((first, second), rows, strict=True) if n)
    return math.sqrt(sum(variances))
