"""The statistics of a race between configurations that were trained again with fresh seeds. Pure, and deterministic.

``scores`` are {configuration: its scores}, where more is better and the k-th score of each comes from the same seed
and batch order: what a seed does to all of them cancels in their differences. The trial that a search found does not
belong in there: it was looked at because its score is high, so that score is too high by more than anyone knows.

The model: score = configuration + replicate + error, whose variance may differ from one configuration to the next.
Few replicates tell a variance badly, so each is moderated: averaged with the typical one, which counts as at most
``PRIOR_DF`` degrees of freedom (Smyth, "Linear models and empirical Bayes methods for assessing differential expression
in microarray experiments", 2004, sections 4 and 6.2, its d0 fixed). With a flat prior a mean is then Student's t around
what was seen (Gelman et al., "Bayesian Data Analysis", 3rd edition, section 3.2). The Bayesian bootstrap (Rubin 1981)
would not do: of two or three replicates won by the same configuration it says that this is the best for certain.
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
PRIOR_DF = 2
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


def intervals(scores: Scores, confidence: float = 0.95, unit: float = 0.0) -> dict[str, Estimate]:
    """Return each configuration's mean with its interval; of some there may be more scores than of others.

    The highest of several means is too high. So an interval lies around the mean as drawn towards that of those with
    as many replicates, by as much as noise makes them differ (James & Stein 1961; Efron & Morris, "Data analysis using
    Stein's estimator and its generalizations", 1975); and the variance is moderated by the others', since scores below
    a ceiling have a tail that the luckiest did not meet. ``unit``, the smallest step of other scores of their kind, is
    for scores that are all equal: no proof that there is no noise. Raises ValueError for one without a score.
    """
    if not all(scores.values()):
        raise ValueError("expected at least one score of each")
    several = {name: values for name, values in scores.items() if len(values) >= FEWEST}
    spans = _half_widths(several, confidence, (unit_of(scores) or unit) / 2)
    most = max(map(len, several.values()), default=0)
    drawn = _drawn({name: values for name, values in several.items() if len(values) == most})
    return {
        name: _estimate(values, drawn.get(name, float(np.mean(values))), spans.get(name))
        for name, values in scores.items()
    }


def differences(
    first: Sequence[float], others: Scores, confidence: float = 0.95, floor: float = 0.0
) -> dict[str, Estimate]:
    """Return by how much each of the others is better than the first, replicate by replicate, 0 replicates left out.

    A pair counts where both scores are finite. The intervals hold all together with this confidence (Bonferroni). A
    standard deviation counts as ``floor`` at least: scores of few rows that agree do not prove that there is no noise.
    """
    pairs = {
        name: [b - a for a, b in zip(first, values, strict=False) if math.isfinite(b - a)]
        for name, values in others.items()
    }
    several = {name: values for name, values in pairs.items() if len(values) >= FEWEST}
    together = 1 - (1 - confidence) / max(1, len(others))
    spans = _half_widths(several, together, floor)
    return {
        name: _estimate(values, float(np.mean(values)), spans.get(name))
        for name, values in pairs.items()
        if values
    }


def _estimate(scores: Sequence[float], middle: float, half: float | None) -> Estimate:
    """Return the scores' mean with an interval that reaches ``half`` to either side of ``middle``."""
    mean, count = float(np.mean(scores)), len(scores)
    if half is None:
        return Estimate(mean, None, None, None, count)
    return Estimate(mean, float(np.std(scores, ddof=1)), middle - half, middle + half, count)


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
    own = (left**2).sum(axis=1) * m / ((m - 1) * (n - 1))
    df = np.full(m, n - 1)
    # Of two configurations what is left of one is that of the other: nothing is learned from it besides.
    moderated, df = _moderated(own, df, (m - 2) * (n - 1), floor)
    return np.sqrt(moderated), int(df[0])


def _moderated(own: np.ndarray, df: np.ndarray, most: Any, floor: float) -> tuple[Any, Any]:
    """Return variances (m,), none below ``floor`` squared, drawn towards the typical one, and their degrees of freedom.

    The typical one is a geometric mean: a configuration that fails now and then must not hide the others' differences.
    """
    from scipy.special import digamma

    own = np.maximum(own, max(floor, 1e-150) ** 2)
    # The logarithm of a variance is too small by this in the mean (Smyth 2004, section 6.2).
    typical = np.exp(np.mean(np.log(own) - digamma(df / 2) + np.log(df / 2)))
    prior = np.minimum(PRIOR_DF, most)
    return (prior * typical + df * own) / (prior + df), prior + df


def _half_widths(scores: Scores, confidence: float, floor: float) -> dict[str, float]:
    """Return half the width of the interval around each mean, each of two scores or more."""
    if not scores:
        return {}
    counts = np.array([len(values) for values in scores.values()])
    own = np.array([np.var(values, ddof=1) for values in scores.values()])
    df = counts - 1
    variances, df = _moderated(own, df, df.sum() - df, floor)
    found = [
        _quantile(int(freedom), (1 + confidence) / 2) * math.sqrt(variance / count)
        for freedom, variance, count in zip(df, variances, counts, strict=True)
    ]
    return dict(zip(scores, found, strict=True))


def _drawn(scores: Scores) -> dict[str, float]:
    """Return means drawn towards their common one: wholly where they differ by no more than noise explains."""
    if len(scores) < 2:
        return {}
    table = _table(scores)
    means = table.mean(axis=1)
    left = table - means[:, None] - table.mean(axis=0) + table.mean()
    m, n = table.shape
    error = float((left**2).sum()) / ((m - 1) * (n - 1) * n)
    spread = float(means.var(ddof=1))
    share = max(0.0, 1 - error / spread) if spread > 0 else 0.0
    return dict(zip(scores, (means.mean() + share * (means - means.mean())).tolist(), strict=True))


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
