"""Keep, retune or search again: a run's winner retrained against challengers, seed by seed.

Each challenger is held against the incumbent on the same seeds, by the intervals of ``search/race.py``: what decides
between the finalists of a search decides here too.
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
CONFIDENCE = 0.95


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
    and the mean is larger than the margin.
    """

    name: str
    near: bool
    seeds: int
    mean: float | None
    low: float | None
    high: float | None
    wins: bool

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


def margin_of(metric: str, score: float | None, rows: int | None) -> float:
    """Return what a difference has to exceed to matter: the noise that the rows alone make, in the metric's unit.

    Of a share of right answers, its standard error sqrt(p(1-p)/n) over ``rows``, with p moved towards a half by two
    right and two wrong rows, so that a perfect score has one too (Agresti & Coull, The American Statistician 52, 1998).
    Of anything else ``SHARE`` of the score.
    """
    if score is None or not math.isfinite(score):
        return 0.0
    if "accuracy" in metric and rows and 0 <= score <= 1:
        p = (score * rows + 2) / (rows + 4)
        return math.sqrt(p * (1 - p) / (rows + 4))
    return SHARE * abs(score)


def decide(incumbent: Rival, challengers: Sequence[Rival], mode: str, margin: float) -> Decision:
    """Return what to do, by the scores of a retrained incumbent and its challengers on the same seeds.

    ``mode`` says which scores are good: max or min.
    """
    trains = any(_is_number(score) for score in incumbent.scores)
    return follows(compare(incumbent, challengers, mode, margin), margin, trains)


def follows(compared: tuple[Comparison, ...], margin: float, trains: bool = True) -> Decision:
    """Return what to do after these comparisons; ``trains``: the incumbent's configuration still does."""
    if not trains:
        why = "the incumbent's configuration trains to no finite score any more"
        return Decision("search again", why, compared, margin)
    # Data that changed are no reason by themselves: a configuration that still wins on them is kept.
    winners = [each for each in compared if each.wins]
    if not winners:
        why = "no challenger is better than the retrained incumbent by more than the noise"
        return Decision("keep", why, compared, margin)
    best = max(winners, key=lambda each: (each.mean or 0.0, each.near))
    where = "near the incumbent" if best.near else "far from the incumbent"
    why = f"{best.name}, a configuration {where}, is better by more than the noise"
    return Decision("retune" if best.near else "search again", why, compared, margin, best.name)


def compare(
    incumbent: Rival, challengers: Sequence[Rival], mode: str, margin: float
) -> tuple[Comparison, ...]:
    """Return each challenger's difference from the incumbent."""
    sign = 1.0 if mode == "max" else -1.0
    ours, *theirs = (
        [math.nan if score is None else sign * score for score in each.scores]
        for each in (incumbent, *challengers)
    )
    by_name = {each.name: scores for each, scores in zip(challengers, theirs, strict=True)}
    # Shares of few rows are often equal on all seeds, which is no proof that they do not vary.
    found = differences(ours, by_name, CONFIDENCE, margin / 4)
    return tuple(_compared(each, found.get(each.name), margin) for each in challengers)


def still_in_doubt(comparison: Comparison, margin: float) -> bool:
    """Return whether more seeds may make a challenger win: it is better by more than the margin, or may well be."""
    if comparison.wins or comparison.mean is None or comparison.high is None:
        return False
    return comparison.mean > margin / 2 and comparison.high > margin


def is_behind(comparison: Comparison) -> bool:
    """Return whether a challenger is surely not better: it needs no further seed."""
    return comparison.high is not None and comparison.high <= 0


def _compared(rival: Rival, found: Estimate | None, margin: float) -> Comparison:
    if found is None:
        return Comparison(rival.name, rival.near, 0, None, None, None, False)
    wins = found.low is not None and found.low > 0 and found.mean > margin
    return Comparison(
        rival.name, rival.near, found.replicates, found.mean, found.low, found.high, wins
    )


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
