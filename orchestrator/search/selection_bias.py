"""The winner's score corrected for having been picked: what the same model is to be expected to score on other rows.

The best of many values is too good: its noise was picked along with it. How much so is found by a parametric bootstrap
of the recorded search: true curves are drawn that could have given what was recorded, noise is added, the best of all
trials and epochs is picked again as the search picks, and what it was better by than its own truth is averaged.

The model: a recorded value is the truth plus noise of the validation rows. A share ``SHARED`` of its variance is
common to all models, which all find the same rows hard, and favours none. The rest is a model's own: independent
between trials, and between two epochs of one trial correlated by ``KEPT`` for each epoch. Both figures were measured
(docs/LOG.md, "The winner's score, corrected"). A trial's true curve has the shape of its smoothed record. Where its
top lies is drawn from the posterior under a distribution of truths that is itself estimated from all trials by
maximum likelihood, without a form (Kiefer & Wolfowitz 1956; Efron 2011, "Tweedie's Formula and Selection Bias", for
why such a posterior is not biased by selection). Truths that were not deconvolved so would be spread by the noise
once more, and the bias found would be too small (Tibshirani & Tibshirani 2009 correct by folds for that reason,
Tsamardinos et al. 2018 by single predictions: no run keeps either).

What it is blind to: validation rows that are no fair sample of what comes, and choices made outside of the run.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.records import RunRecords, TrialRecord
from orchestrator.records.run import effective_manifest

Array = npt.NDArray[np.float64]
SHARED = 0.65
"""The share of the noise's variance that all models have in common."""
KEPT = 0.9
"""The correlation of a model's own noise from one epoch to the next."""
DRAWS = 300
AT_ONCE = 50
"""How many of them are held in memory."""
REACH = 8.0
"""A trial so many standard errors below the best cannot have won by noise."""
MOST_TRIALS = 200
MOST_EPOCHS = 60
SMOOTHED = 5
"""Over how many epochs a curve is averaged, fewer towards its ends."""
FLAT = 1.0
GRID = 61


@dataclass(frozen=True)
class Corrected:
    """A winner's score: as recorded (``raw``) and corrected, in the metric's unit, with the 95 % interval of the truth.

    ``noise`` is the standard error of a value from the validation rows alone. ``trials`` and ``epochs`` count what it
    was picked from; ``replicates``: they are those of a race.
    """

    raw: float
    value: float
    low: float
    high: float
    noise: float
    trials: int
    epochs: int
    replicates: bool = False


def optimism(curves: Sequence[Sequence[float]], noise: float) -> tuple[float, float]:
    """Return by how much the best value of all curves is too good, and the standard deviation of that.

    More is better. ``curves`` hold finite values, epoch by epoch; ``noise`` is their standard error, in their unit.
    """
    return _optimism(tuple(map(tuple, curves)), noise)


@functools.lru_cache(maxsize=2)  # a run's end tells it in three places
def _optimism(curves: tuple[tuple[float, ...], ...], noise: float) -> tuple[float, float]:
    own = noise * math.sqrt(1 - SHARED)
    tops = sorted((max(curve) for curve in curves), reverse=True)[:MOST_TRIALS]
    least = max(tops[-1], tops[0] - REACH * own)
    near = [np.asarray(curve, float) for curve in curves if max(curve) >= least][:MOST_TRIALS]
    if own <= 0 or sum(map(len, near)) < 2:
        return 0.0, 0.0
    # First by how much the best epoch of each trial is too good, then by how much the best trial is.
    shapes = _shapes(near, own)
    draw = np.random.default_rng(0)
    several = (AT_ONCE, *shapes.shape)
    noisy = [(shapes + _noise(draw, several, own)).max(axis=2) for _ in range(0, DRAWS, AT_ONCE)]
    highest = np.concatenate(noisy)
    lifted, spread = highest.mean(axis=0), float(highest.std(axis=0).mean())
    tops_now = np.array([curve.max() for curve in near]) - lifted
    truths = _truths(tops_now, spread, draw)
    parts = (truths[at : at + AT_ONCE, :, None] for at in range(0, DRAWS, AT_ONCE))
    found = np.concatenate([_too_good(shapes + part, own, draw) for part in parts])
    return float(np.mean(found)), float(np.std(found))


def _too_good(truths: Array, own: float, draw: np.random.Generator) -> Array:
    """Return by how much the best of each noisy search is better than its truth (searches, trials, epochs)."""
    seen = (truths + _noise(draw, truths.shape, own)).reshape(len(truths), -1)
    best = seen.argmax(axis=1)[:, None]
    flat = truths.reshape(seen.shape)
    found: Array = (np.take_along_axis(seen, best, 1) - np.take_along_axis(flat, best, 1))[:, 0]
    return found


def _shapes(curves: Sequence[Array], own: float) -> Array:
    """Return each curve, smoothed and less its highest point (trials, epochs); -inf beyond its end.

    What lies less than ``FLAT`` standard deviations of its own noise below its top counts as level with it.
    """
    thin = [_thinned(curve) for curve in curves]
    found = np.full((len(thin), max(map(len, thin))), -np.inf)
    for at, curve in enumerate(thin):
        smooth = _smoothed(curve)
        found[at, : len(curve)] = np.minimum(0.0, smooth - smooth.max() + FLAT * own)
    return found


def _thinned(curve: Array) -> Array:
    step = -(-len(curve) // MOST_EPOCHS)
    # From an offset at which the best epoch is one of those that stay.
    return curve[int(curve.argmax()) % step :: step]


def _smoothed(curve: Array) -> Array:
    half, last = SMOOTHED // 2, len(curve) - 1
    widths = (min(half, at, last - at) for at in range(len(curve)))
    means = [curve[at - w : at + w + 1].mean() for at, w in enumerate(widths)]
    return np.array(means)


def _noise(draw: np.random.Generator, shape: tuple[int, ...], own: float) -> Array:
    """Return noise (…, epochs) of standard deviation ``own``, an autoregressive process of first order a trial."""
    values = draw.normal(0, own, shape)
    fresh = math.sqrt(1 - KEPT**2)
    for at in range(1, shape[-1]):
        values[..., at] = KEPT * values[..., at - 1] + fresh * values[..., at]
    return values


def _truths(values: Array, noise: float, draw: np.random.Generator) -> Array:
    """Return draws (DRAWS, trials) of what values that have this noise are in truth."""
    if len(values) == 1 or np.ptp(values) == 0:
        return np.tile(values, (DRAWS, 1))
    grid = np.linspace(values.min(), values.max(), GRID)
    likely = np.exp(-0.5 * ((values[:, None] - grid) / noise) ** 2)
    share = np.full(GRID, 1 / GRID)
    for _ in range(100):  # expectation and maximization: so many steps smooth the estimate, too
        posterior = likely * share
        posterior /= posterior.sum(axis=1, keepdims=True)
        share = posterior.mean(axis=0)
    sums = posterior.cumsum(axis=1)
    drawn = draw.random((DRAWS, len(values)))
    places = [np.searchsorted(sums[at], drawn[:, at]) for at in range(len(values))]
    return grid[np.minimum(np.array(places).T, GRID - 1)]


def corrected_score(records: RunRecords) -> Corrected | None:
    """Return the corrected score of a run's winner, or of the best so far.

    None where nothing was picked (one epoch of one trial), where the metric is not one of validation rows, or where
    its noise is not known: neither from the winner's examination, nor as an accuracy of so many rows. None too after a
    race over folds: it judged on other rows, and what it says of the winner needs no correction.
    """
    leader = records.leader
    best = records.of(leader.trial).best if leader else None
    if leader is None or best is None or not records.metric.startswith("val_"):
        return None
    if records.state.race_result and records.state.has_folds:
        return None
    noise = noise_of(records, best.value)
    if noise is None:
        return None
    rivals = _rivals(records, leader)
    curves = [curve for trial in rivals if (curve := _curve(records, trial))]
    epochs = sum(map(len, curves))
    if epochs < 2:
        return None
    # The averages of BatchNormalization may be others than in training, and so the score; what it was picked by is not.
    judged = records.winner or {}
    shown = judged.get("validation") if judged.get("trial") == leader.trial else None
    raw = (shown or {}).get(records.metric.removeprefix("val_"), best.value)
    sign = 1.0 if records.mode == "max" else -1.0
    found, spread = optimism(curves, noise)
    value = raw - sign * found
    reach = 1.96 * math.sqrt(SHARED * noise**2 + spread**2)
    low, high = value - reach, value + reach
    if "accuracy" in records.metric:
        low, high = max(0.0, low), min(1.0, high)
    replicates = leader.repeats is not None
    return Corrected(raw, value, low, high, noise, len(curves), epochs, replicates)


def _rivals(records: RunRecords, leader: TrialRecord) -> Sequence[TrialRecord]:
    """Return what the leader was picked from: a replicate from those of the race, any other from the trials."""
    if leader.repeats is None:
        return records.contenders
    raced = {name for name in (records.state.race_result or {}).get("order") or ()}
    return [each for name in raced for each in records.state.replicates_of(name)]


def _curve(records: RunRecords, trial: TrialRecord) -> list[float]:
    sign = 1.0 if records.mode == "max" else -1.0
    values = (row["metrics"].get(records.metric) for row in records.of(trial.trial).own_epochs)
    known = (value for value in values if isinstance(value, int | float) and math.isfinite(value))
    return [sign * value for value in known]


def noise_of(records: RunRecords, value: float) -> float | None:
    """Return the standard error that a value of the metric has from the validation rows; None where it is not known.

    As examined, of the winner's own rows. Of an accuracy it is at least that of the share of right ones that is one
    row more and one row less than was seen (Agresti & Coull 1998): of no wrong one there would be no noise.
    """
    examined = (records.winner or {}).get("noise")
    known = examined.get(records.metric) if isinstance(examined, Mapping) else None
    known = float(known) if isinstance(known, int | float) and math.isfinite(known) else None
    rows = validation_rows(records)
    if records.metric != "val_accuracy" or rows is None or not 0 <= value <= 1:
        return known
    share = (value * rows + 1) / (rows + 2)
    least = math.sqrt(share * (1 - share) / rows)
    return least if known is None else max(known, min(least, 2 * known or least))


def validation_rows(records: RunRecords) -> int | None:
    """Return how many validation rows the newest trials were judged on, None where that is not known."""
    data: Any = effective_manifest(records).get("data")
    rows = data.get("rows") if isinstance(data, Mapping) else None
    count = rows.get("validation") if isinstance(rows, Mapping) else None
    return count if isinstance(count, int) and count > 0 else None
