"""How far a model's probabilities can be believed, and the one temperature that makes them more believable.

Expected calibration error (ECE), as Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks",
equation 3: rows are put into 15 bins of equal width by their confidence; the distances between mean confidence and the
share that is right are averaged over the bins, each by its rows. Of more than two classes the confidence is that of the
predicted class; of two, the probability of the second; of flags, that of each flag, all together. The bins are those of
``sklearn.calibration.calibration_curve(strategy="uniform")``.

It is never 0 on a sample: what a perfectly calibrated model with the same confidences would show is given beside it
(``by_chance``: labels drawn from the confidences, Bröcker & Smith 2007, "Increasing the Reliability of Reliability
Diagrams", section 3).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
BINS = 15
DRAWS = 1000
"""Of how many draws the ECE of a calibrated model is taken."""
SMALLEST = 2.0**-126
"""The smallest normal float32: a softmax gives no smaller probability."""
NEXT_TO_ONE = 2.0**-25
"""What is taken for 1 - p where a sigmoid's float32 is 1: half of the distance to the next lower one."""
BOUNDS = (0.01, 100.0)
"""Between which a temperature is looked for: one at an end is none."""
FEWEST_ROWS = 20
"""Of fewer rows no temperature is fitted."""


@dataclass(frozen=True, eq=False)
class JudgedRows:
    """What a model answers for rows whose truth is known, as its saved file answers.

    ``classes``: ``answers`` (rows, classes) sum to 1, ``truth`` (rows,) holds class numbers. ``flags``: both are
    (rows, flags). ``quantities``: both are (rows, columns), in the user's unit. ``names``: of classes or columns.
    ``weight`` (rows,): sample weights, 1 where there are none. ``left_out``: rows whose outputs were not finite;
    ``places`` are those of the others in their split, None where none was left out.
    """

    kind: Literal["classes", "flags", "quantities"]
    names: tuple[str, ...]
    answers: Array = field(repr=False)
    truth: Array = field(repr=False)
    weight: Array = field(repr=False)
    left_out: int = 0
    places: Any = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.truth)

    def take(self, rows: Any) -> JudgedRows:
        """Return some of the rows, chosen by a mask or by their numbers."""
        some = self.answers[rows], self.truth[rows], self.weight[rows]
        return JudgedRows(self.kind, self.names, *some, self.left_out)


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by; ``value`` None where none was found, and ``why``.

    ``error`` is the standard error of its logarithm, from the curvature of the likelihood.
    """

    value: float | None
    error: float | None = None
    why: str | None = None


def both_classes(second: Any) -> Array:
    """Return the probabilities of both classes (rows, 2) from a sigmoid's, that of the second."""
    second = np.asarray(second, np.float64).reshape(-1, 1)
    # A float32 next to 0 is known to seven digits, one next to 1 to 2**-24 at best.
    return np.hstack([np.maximum(1 - second, NEXT_TO_ONE * (second > 0.5)), second])


def tempered(answers: Any, kind: str, temperature: float) -> Array:
    """Return probabilities whose logits are divided by ``temperature``; order and ranks of a row stay.

    ``classes``: softmax(log(p) / T) over each row; ``flags``: sigmoid(logit(p) / T) of each figure.
    """
    from scipy.special import expit, softmax

    if kind != "classes":
        return np.asarray(expit(_logit(answers) / temperature))
    return np.asarray(softmax(_log(answers) / temperature, axis=1))


@dataclass(frozen=True)
class Tempering:
    """How a saved model's outputs become calibrated probabilities.

    ``flags``: each output is a probability of its own; ``activation``: what the outputs, logits, still need first.
    """

    temperature: float
    flags: bool = False
    activation: str | None = None

    def of(self, outputs: Any) -> Array:
        """Return probabilities in place of a model's outputs (rows, units), of the same shape."""
        from scipy.special import expit, softmax

        found = np.asarray(outputs, np.float64)
        if self.activation is not None:
            found = softmax(found, axis=1) if self.activation == "softmax" else expit(found)
        kind = "flags" if self.flags or found.shape[1] == 1 else "classes"
        return tempered(found, kind, self.temperature)


def fit_temperature(rows: JudgedRows) -> Temperature:
    """Return the temperature of the least mean negative log-likelihood (Guo et al. 2017, section 4.2)."""
    from scipy.optimize import minimize_scalar

    if rows.rows < FEWEST_ROWS:
        return Temperature(None, why=f"{rows.rows} validation rows are too few to fit one")

    if _all_right(rows):
        return Temperature(None, why="no validation row is wrong: the least one would be the best")

    def loss(log: float) -> float:
        return log_loss(rows, math.exp(log))

    # Of 1/T it is convex, so that there is one minimum of log T, too.
    low, high = (math.log(bound) for bound in BOUNDS)
    found = float(minimize_scalar(loss, bounds=(low, high), method="bounded").x)
    step = 0.01
    bend = (loss(found + step) - 2 * loss(found) + loss(found - step)) / step**2
    if not low + 0.1 < found < high - 0.1 or bend <= 0:
        return Temperature(None, why="the answers say nothing of the validation rows")
    return Temperature(math.exp(found), 1 / math.sqrt(bend * effective(rows.weight)))


def _all_right(rows: JudgedRows) -> bool:
    if rows.kind == "flags":
        return bool(((rows.answers > 0.5) == (rows.truth > 0.5)).all())
    return bool((rows.answers.argmax(axis=1) == rows.truth).all())


def log_loss(rows: JudgedRows, temperature: float = 1.0) -> float:
    """Return the weighted mean of -log p of what is true, of flags over all of them; logits divided first."""
    from scipy.special import log_expit, log_softmax

    if rows.kind == "classes":
        logs = log_softmax(_log(rows.answers) / temperature, axis=1)
        values = -logs[np.arange(rows.rows), rows.truth.astype(int)]
    else:
        logits = _logit(rows.answers) / temperature
        signs = 2 * rows.truth - 1
        values = -log_expit(signs * logits).mean(axis=1)
    return float(np.average(values, weights=rows.weight))


def calibration(rows: JudgedRows) -> dict[str, Any]:
    """Return ``ece``, its ``by_chance`` {mean, at_most: 95 % of draws}, ``nll``, ``brier`` and ``reliability`` by bins.

    ``brier``: the mean over rows of the squared distance to the truth, summed over classes (of two: over the second
    alone) or averaged over flags. Bins without rows are left out.
    """
    sure, right, weight = confidences(rows)
    at = np.searchsorted(np.linspace(0, 1, BINS + 1)[1:-1], sure)
    bins = [_bin(number, at == number, sure, right, weight) for number in np.unique(at)]
    shares = np.array([one["weight"] for one in bins]) / weight.sum()
    means = np.array([[one["confidence"], one["frequency"]] for one in bins])
    gaps = np.abs(means[:, 0] - means[:, 1])
    return {
        "rows": rows.rows,
        "ece": float(shares @ gaps),
        "by_chance": _by_chance(bins, shares),
        "nll": log_loss(rows),
        "brier": _brier(rows),
        "reliability": [{k: v for k, v in one.items() if k != "weight"} for one in bins],
    }


def confidences(rows: JudgedRows) -> tuple[Array, Array, Array]:
    """Return each event's probability, whether it happened (0 or 1), and its weight."""
    if rows.kind == "flags":
        flags = rows.answers.shape[1]
        return rows.answers.ravel(), rows.truth.ravel(), np.repeat(rows.weight, flags)
    if rows.answers.shape[1] == 2:
        return rows.answers[:, 1], (rows.truth == 1).astype(float), rows.weight
    right = rows.answers.argmax(axis=1) == rows.truth
    return rows.answers.max(axis=1), right.astype(float), rows.weight


def effective(weight: Array) -> float:
    """Return how many rows of equal weight would tell as much (Kish 1965, section 11.7)."""
    squares = float((weight**2).sum())
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def _bin(number: int, inside: Any, sure: Array, right: Array, weight: Array) -> dict[str, Any]:
    mine = weight[inside]
    known = mine if mine.sum() > 0 else np.ones(len(mine))
    return {
        "from": number / BINS,
        "to": (number + 1) / BINS,
        "rows": int(inside.sum()),
        "effective_rows": effective(mine),
        "confidence": float(np.average(sure[inside], weights=known)),
        "frequency": float(np.average(right[inside], weights=known)),
        "weight": float(mine.sum()),
    }


def _by_chance(bins: list[dict[str, Any]], shares: Array) -> dict[str, float]:
    """Return what the ECE would be by chance alone; each bin's rows are taken to have its mean confidence."""
    rows = np.array([max(1, round(one["effective_rows"])) for one in bins])
    sure = np.clip([one["confidence"] for one in bins], 0, 1)
    drawn = np.random.default_rng(0).binomial(rows, sure, (DRAWS, len(bins))) / rows
    # A binomial of the mean spreads a little more than single rows do, so that the bound errs upwards.
    found = np.abs(drawn - sure) @ shares
    return {"mean": float(found.mean()), "at_most": float(np.quantile(found, 0.95))}


def _brier(rows: JudgedRows) -> float:
    if rows.kind == "flags":
        squares = ((rows.answers - rows.truth) ** 2).mean(axis=1)
    else:
        truth = np.eye(rows.answers.shape[1])[rows.truth.astype(int)]
        squares = ((rows.answers - truth) ** 2).sum(axis=1)
        squares = squares / 2 if rows.answers.shape[1] == 2 else squares
    return float(np.average(squares, weights=rows.weight))


def _log(answers: Any) -> Array:
    logs: Array = np.log(np.maximum(np.asarray(answers, np.float64), SMALLEST))
    return logs


def _logit(answers: Any) -> Array:
    answers = np.asarray(answers, np.float64)
    logits: Array = _log(answers) - np.log(np.maximum(1 - answers, NEXT_TO_ONE))
    return logits


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a winner's record holds of its calibration: no bins."""
    names = ("temperature", "temperature_log_error", "why_none", "activation")
    same = {name: found[name] for name in names if name in found}
    ece = {part: found[part]["ece"] for part in ("validation", "test") if part in found}
    validation = found["validation"]
    chance = {"ece_by_chance": validation["by_chance"]["at_most"]}
    after = validation.get("calibrated")
    return same | {"ece": ece} | chance | ({"ece_calibrated": after["ece"]} if after else {})
