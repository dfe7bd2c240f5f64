"""Keep, retune or search again: a run's winner retrained against challengers, seed by seed.

Each challenger is held against the incumbent on the same seeds, by the intervals of ``search/race.py``: what decides
between the finalists of a search decides here too. Further seeds do not tell whether other rows would say the same: of
as many challengers as there are, one is often better on the rows at hand. So intervals hold the noise of rows as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from orchestrator.search.race import Estimate, differences

Verdict = Literal["keep", "retune", "search again"]
EXIT_CODES: Mapping[Verdict, int] = {"keep": 0, "retune": 10, "search again": 11}
SHARE = 0.02
"""What a difference has to exceed where the rows' noise is not known: this share of the incumbent's score."""
SQUARES, ROOTS = ("mse", "mean_squared_error"), ("rmse", "root_mean_squared_error")
UNEXPLAINED = ("r2", "r2_score", "explained_variance")
CONFIDENCE = 0.95
ROWS_REACH = 1.645
"""So many standard errors of rows are no proof: 5 % on one side for the largest error that a difference has.

Not more for as many challengers: most differences have half that error (docs/LOG.md), so of seven 1 % win by chance.
"""


@dataclass(frozen=True)
class Rival:
    """A configuration that is compared: its score a seed (None: failed), and whether it is near the incumbent."""

    name: str
    scores: tuple[float | None, ...]
    near: bool


@dataclass(frozen=True)
class Comparison:
    """By how much a challenger is better than the incumbent: mean paired difference and interval, in the metric's unit.

    Positive is better, whichever direction the metric has. ``seeds`` were compared. ``wins``: the interval lies above 0
    and the mean is larger than the margin. ``may_win``: further seeds might make it win.
    """

    name: str
    near: bool
    seeds: int
    mean: float | None
    low: float | None
    high: float | None
    wins: bool
    may_win: bool = True

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return dict(vars(self))


@dataclass(frozen=True)
class Decision:
    """What is to be done, and why in a sentence; ``best`` is the challenger that takes the incumbent's place."""

    verdict: Verdict
    why: str
    comparisons: tuple[Comparison, ...]
    margin: float
    best: str | None = None

    @property
    def exit_code(self) -> int:
        """The code that a scheduled command ends with."""
        return EXIT_CODES[self.verdict]


@dataclass(frozen=True)
class Margin:
    """What a difference has to exceed to matter, in the metric's unit.

    ``is_error``: it is the standard error that the judging rows make of a difference, part of each interval.
    """

    value: float
    is_error: bool = False

    @property
    def reach(self) -> float:
        """How far an interval reaches for the rows alone."""
        return ROWS_REACH * self.value if self.is_error else 0.0


def margin_of(metric: str, mode: str, score: float | None, rows: int | None) -> Margin:
    """Return what a difference has to exceed to matter: the noise that ``rows`` judging rows make.

    Of a score between 0 and 1 where more is better, the standard error sqrt(p(1-p)/n) of a share, with p moved towards
    a half by two right and two wrong rows, so that a perfect score has one too (Agresti & Coull, The American
    Statistician 52, 1998). Of a mean loss or error about score/sqrt(n), since rows' losses vary as much as they are
    large; of a mean of squares, and of what R² leaves unexplained, sqrt(2) times that, of its root half (the variance
    of normal errors' squares). Two configurations err on the same rows: where these go together by a half or more, no
    difference has a larger error than one score. Where nothing is known of rows, ``SHARE`` of the score.
    """
    if score is None or not math.isfinite(score):
        return Margin(0.0)
    name = metric.removeprefix("val_")
    if not rows:
        return Margin(SHARE * abs(score))
    if name in UNEXPLAINED:
        return Margin((1 - min(score, 1.0)) * math.sqrt(2 / rows), True)
    if mode == "max" and 0 <= score <= 1:
        p = (score * rows + 2) / (rows + 4)
        return Margin(math.sqrt(p * (1 - p) / (rows + 4)), True)
    if mode == "min":
        times = {**dict.fromkeys(SQUARES, 2.0), **dict.fromkeys(ROOTS, 0.5)}.get(name, 1.0)
        return Margin(abs(score) * math.sqrt(times / rows), True)
    return Margin(SHARE * abs(score))


def decide(incumbent: Rival, challengers: Sequence[Rival], mode: str, margin: Margin) -> Decision:
    """Return what to do, by the scores of a retrained incumbent and its challengers on the same seeds.

    ``mode`` says which scores are good: max or min.
    """
    trains = any(_is_number(score) for score in incumbent.scores)
    return follows(compare(incumbent, challengers, mode, margin), margin, trains)


def follows(compared: tuple[Comparison, ...], margin: Margin, trains: bool = True) -> Decision:
    """Return what to do after these comparisons; ``trains``: the incumbent's configuration still does."""
    if not trains:
        why = "the incumbent's configuration trains to no finite score any more"
        return Decision("search again", why, compared, margin.value)
    # Data that changed are no reason by themselves: a configuration that still wins on them is kept.
    winners = [each for each in compared if each.wins]
    if not winners:
        why = "no challenger is better than the retrained incumbent by more than the noise"
        return Decision("keep", why, compared, margin.value)
    best = max(winners, key=lambda each: (each.mean or 0.0, each.near))
    where = "near the incumbent" if best.near else "far from the incumbent"
    why = f"{best.name}, a configuration {where}, is better by more than the noise"
    return Decision(
        "retune" if best.near else "search again", why, compared, margin.value, best.name
    )


def compare(
    incumbent: Rival,
    challengers: Sequence[Rival],
    mode: str,
    margin: Margin,
) -> tuple[Comparison, ...]:
    """Return each challenger's difference from the incumbent."""
    sign = 1.0 if mode == "max" else -1.0
    ours, *theirs = (
        [math.nan if score is None else sign * score for score in each.scores]
        for each in (incumbent, *challengers)
    )
    by_name = {each.name: scores for each, scores in zip(challengers, theirs, strict=True)}
    # Shares of few rows are often equal on all seeds, which is no proof that they do not vary.
    found = differences(ours, by_name, CONFIDENCE, margin.value / 4)
    return tuple(_compared(each, found.get(each.name), margin) for each in challengers)


def still_in_doubt(comparison: Comparison, margin: Margin) -> bool:
    """Return whether more seeds than were asked for may make a challenger win: it is half as much better at least."""
    least = max(margin.value, margin.reach)
    likely = comparison.mean is not None and comparison.mean > least / 2
    return comparison.may_win and likely and not comparison.wins


def _compared(rival: Rival, found: Estimate | None, margin: Margin) -> Comparison:
    if found is None:
        return Comparison(rival.name, rival.near, 0, None, None, None, False)
    count, mean = found.replicates, found.mean
    if found.low is None or found.high is None:
        return Comparison(rival.name, rival.near, count, mean, None, None, False)
    # Seeds and rows are independent: half widths add as squares do (Zou & Donner, Statistics in Medicine 27, 2008).
    half = math.hypot(found.high - mean, margin.reach)
    wins = mean > half and mean > margin.value
    may_win = found.high > max(margin.value, margin.reach)
    return Comparison(rival.name, rival.near, count, mean, mean - half, mean + half, wins, may_win)


def _is_number(score: float | None) -> bool:
    return score is not None and math.isfinite(score)


def rank_correlation(
    then: Sequence[float | None], now: Sequence[float | None]
) -> tuple[float, int] | None:
    """Return Spearman's correlation of configurations' scores then and now, and of how many; None for fewer than 3."""
    from scipy.stats import spearmanr

    pairs = [(a, b) for a, b in zip(then, now, strict=True) if _is_number(a) and _is_number(b)]
    if len(pairs) < 3 or any(len(set(side)) < 2 for side in zip(*pairs, strict=True)):
        return None
    old, new = zip(*pairs, strict=True)
    return float(spearmanr(old, new).statistic), len(pairs)
