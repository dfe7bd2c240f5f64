"""The statistics of a race between configurations that were trained again with fresh seeds. Pure, and deterministic.

``scores`` are {configuration: its scores}, where more is better and the k-th score of each comes from the same seed
and batch order: what a seed does to all of them cancels in their differences. The trial that a search found does not
belong in there: it was looked at because its score is high, so that score is too high by more than anyone knows.

The model: score = configuration + replicate + error, whose variance may differ from one configuration to the next. A
variance is estimated from what is left after both effects and, since few replicates say little, moderated: averaged
with the pooled one, which counts as at most ``PRIOR_DF`` degrees of freedom (Smyth, "Linear models and empirical Bayes
methods", 2004, section 4, its d0 fixed). With a flat prior a mean is then Student's t around what was seen (Gelman et
al., "Bayesian Data Analysis", 3rd edition, section 3.2). The Bayesian bootstrap (Rubin 1981) would not do: of two or
three replicates won by the same configuration it says that this is the best for certain.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np

FEWEST = 2
"""Fewer replicates than these tell nothing of the noise."""
PRIOR_DF = 4
POINTS = 400
"""At so many quantiles a chance is integrated: right to three digits."""

Scores = Mapping[str, Sequence[float]]


@dataclass(frozen=True)
class Estimate:
    """A mean of scores, in the metric's unit, and where the mean of ever more replicates lies, ``low`` to ``high``.

    ``sd`` is the standard deviation of single scores; it and the bounds are None of fewer than two.
    """

    mean: float
    sd: float | None
    low: float | None
    high: float | None
    replicates: int


@dataclass(frozen=True)
class Verdict:
    """Which configuration to take: the ``best``, with the ``chance`` that it is, or the smallest of those that tied.

    The chance is NaN of the one that is left where replicates of all others failed.
    ``chances`` has that of every one that was judged; ``tied`` those that may be the best, the likeliest first.
    """

    kind: Literal["best", "tied"]
    winner: str
    chance: float
    chances: Mapping[str, float]
    tied: tuple[str, ...] = ()


def estimate(scores: Sequence[float], confidence: float = 0.95, unit: float = 0.0) -> Estimate:
    """Return the mean of the scores with its interval: mean ± t · sd / √n (Student 1908).

    ``unit`` is the smallest step that scores come in, such as one validation row: a standard deviation counts as half
    of it at least, since scores that agree by rounding do not prove that there is no noise. Raises ValueError for none.
    """
    if not scores:
        raise ValueError("expected at least one score")
    mean, count = float(np.mean(scores)), len(scores)
    if count < FEWEST:
        return Estimate(mean, None, None, None, count)
    sd = float(np.std(scores, ddof=1))
    reach = _quantile(count - 1, (1 + confidence) / 2) * max(sd, unit / 2) / math.sqrt(count)
    return Estimate(mean, sd, mean - reach, mean + reach, count)


def judged(curves: Sequence[Sequence[float]]) -> list[float]:
    """Return each replicate's score at the epoch at which the others of its configuration are best on average.

    ``curves`` holds a configuration's replicates, epoch by epoch, where more is better; of more epochs than all have
    the further ones do not count. The best epoch of a curve is chosen by the very noise that then counts as a score;
    here it is chosen by other seeds, and with folds by other rows (cross-validation of the choice: Stone 1974). An
    epoch at which one of the others has no finite score is not chosen; NaN where none is left. Empty for
    fewer than two.
    """
    if len(curves) < FEWEST:
        return []
    epochs = min(map(len, curves))
    table = np.array([list(curve[:epochs]) for curve in curves], dtype=np.float64)
    found = [math.nan] * len(table)
    for at in range(len(table)):
        others = np.delete(table, at, axis=0).mean(axis=0)
        known = np.flatnonzero(np.isfinite(others))
        if len(known):
            found[at] = float(table[at, known[others[known].argmax()]])
    return found


def difference(
    first: Sequence[float], second: Sequence[float], confidence: float = 0.95
) -> Estimate:
    """Return by how much the first is better than the second, replicate by replicate: the paired t interval."""
    pairs = [a - b for a, b in zip(first, second, strict=True)]
    return estimate(pairs, confidence, unit_of({"first": first, "second": second}))


def chances(scores: Scores) -> dict[str, float]:
    """Return the chance of each configuration to have the highest mean; they add up to 1.

    ∫ f_i(x) Π F_j(x) dx over the means' distributions; of two it is the paired t test's. Raises ValueError where the
    configurations have unequally many scores, fewer than two, or one that is not finite.
    """
    table = _table(scores)
    names, count = list(scores), table.shape[1]
    if len(names) == 1:
        return {names[0]: 1.0}
    if np.ptp(table) == 0:
        return dict.fromkeys(names, 1 / len(names))
    floor = unit_of(scores) / 2
    if len(names) == 2:
        pairs = table[0] - table[1]
        sd = max(float(np.std(pairs, ddof=1)), floor)
        first = float(_below(count - 1, float(np.mean(pairs)) * math.sqrt(count) / sd))
        return {names[0]: first, names[1]: 1 - first}
    spread, df = _spreads(table, floor)
    found = _chances(table.mean(axis=1), spread / math.sqrt(count), df)
    return dict(zip(names, found.tolist(), strict=True))


def surely_not_best(found: Mapping[str, float], among: int, confidence: float) -> set[str]:
    """Return the configurations to drop: with all ``among`` of a race dropped so, they hold 1 - confidence at most."""
    return {name for name, chance in found.items() if chance < (1 - confidence) / max(1, among)}


def verdict(
    scores: Scores,
    sizes: Mapping[str, float | None],
    confidence: float = 0.95,
    among: int | None = None,
) -> Verdict:
    """Return which configuration to take as things stand; ``sizes`` are their numbers of parameters, where known.

    Where none is the best with ``confidence``, those that may be are tied, and the smallest of them is taken whose mean
    lies within one standard error of the highest, of their paired difference (the 1-SE rule of Breiman et al.,
    "Classification and Regression Trees", 1984, section 3.4.3). Of equally small ones the higher mean is taken, then
    the earlier.
    """
    found = chances(scores)
    names = list(scores)
    means = {name: float(np.mean(scores[name])) for name in names}
    leader = max(names, key=lambda name: (means[name], -names.index(name)))
    if found[leader] >= confidence:
        return Verdict("best", leader, found[leader], found)
    out = surely_not_best(found, among or len(names), confidence) - {leader}
    tied = tuple(
        sorted((n for n in names if n not in out), key=lambda n: (-found[n], names.index(n)))
    )
    level = [name for name in tied if _is_within_one_error(scores, leader, name)]
    winner = min(level, key=lambda name: (_size(sizes, name), -means[name], names.index(name)))
    kind: Literal["best", "tied"] = "tied" if len(tied) > 1 else "best"
    return Verdict(kind, winner, found[winner], found, tied if len(tied) > 1 else ())


def unit_of(scores: Scores, names: Collection[str] | None = None) -> float:
    """Return the smallest step between two scores that differ; 0 where all are equal."""
    values = sorted({float(value) for name in names or scores for value in scores[name]})
    steps = [high - low for low, high in pairwise(values)]
    whole = max(map(abs, values), default=0.0)
    return min((step for step in steps if step > 1e-9 * whole), default=0.0)


def _table(scores: Scores) -> np.ndarray:
    """Return the scores as (configurations, replicates)."""
    counts = {len(values) for values in scores.values()}
    if len(counts) != 1 or min(counts) < FEWEST:
        raise ValueError(
            f"expected equally many scores of each, {FEWEST} or more; received {counts}"
        )
    table = np.array(list(scores.values()), dtype=float)
    if not np.isfinite(table).all():
        raise ValueError("expected finite scores")
    return table


def _spreads(table: np.ndarray, floor: float) -> tuple[np.ndarray, int]:
    """Return the standard deviation of a score of each configuration, (m,), and its degrees of freedom."""
    m, n = table.shape
    # What a replicate does to all, and what a configuration is worth, are taken out: the rest is noise.
    left = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    squares = (left**2).sum(axis=1)
    own = squares * m / ((m - 1) * (n - 1))
    pooled = squares.sum() / ((m - 1) * (n - 1))
    # Of two configurations what is left of one is that of the other: nothing is learned from it besides.
    prior = min(PRIOR_DF, (m - 2) * (n - 1))
    moderated = (prior * pooled + (n - 1) * own) / (prior + n - 1)
    return np.maximum(np.sqrt(moderated), floor), prior + n - 1


def _chances(means: np.ndarray, errors: np.ndarray, df: int) -> np.ndarray:
    """Return the chance of each of (m,) means to be the highest, each t-distributed with its standard error."""
    places = means[:, None] + errors[:, None] * _spaced(df)[None, :]
    below = _below(df, (places[:, None, :] - means[None, :, None]) / errors[None, :, None])
    # A mean is compared with the others, not with itself.
    below[np.arange(len(means)), np.arange(len(means))] = 1.0
    found = np.asarray(below.prod(axis=1).mean(axis=1))
    return np.asarray(found / found.sum())


def _below(df: int, places: Any) -> Any:
    """Return Student's distribution function at ``places``."""
    from scipy.special import stdtr  # imported where it is needed: a race is rare

    return stdtr(df, places)


@cache
def _quantile(df: int, share: float) -> float:
    """Return Student's quantile."""
    from scipy.special import stdtrit

    return float(stdtrit(df, share))


@cache
def _spaced(df: int) -> np.ndarray:
    """Return the middles of equally likely stretches of Student's distribution."""
    return np.array([_quantile(df, (at + 0.5) / POINTS) for at in range(POINTS)])


def _is_within_one_error(scores: Scores, leader: str, name: str) -> bool:
    """Return whether a mean lies within one standard error of the leader's, by their paired difference."""
    behind = [a - b for a, b in zip(scores[leader], scores[name], strict=True)]
    error = float(np.std(behind, ddof=1)) / math.sqrt(len(behind))
    return float(np.mean(behind)) <= max(error, 0.0) + 1e-12


def _size(sizes: Mapping[str, float | None], name: str) -> float:
    size = sizes.get(name)
    return math.inf if size is None else float(size)
