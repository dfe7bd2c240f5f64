"""Precision, recall and F1 of each class, the confusion matrix, and the classes that a model fails."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from orchestrator.training.calibration import Array, JudgedRows, effective

CHANCE = 0.05
"""At which chance, over all classes together, one is said to fail that does not."""
FAR_BELOW = 0.1
"""By how much a recall has to be below the others' before it is worth a sentence."""

ROWS_TO_NAME = 5


def per_class(rows: JudgedRows) -> dict[str, Any]:
    """Return {classes, confusion, failing} of classes or flags; figures are scikit-learn's, of the same weights.

    ``classes``: a mapping each: class, precision, recall, f1 (None where 0/0), support (weighted rows), predicted, and
    the 95 % interval of its recall, ``recall_from`` and ``recall_to``. ``confusion``: rows are true, columns predicted;
    of flags a list [[true negatives, false positives], [false negatives, hits]] each. ``failing``: see ``failing``.
    """
    matrix = confusion(rows)
    hits, predicted, support, counted = _counts(rows, matrix)
    figures = [
        _figures(rows.names[at], float(hits[at]), float(predicted[at]), float(support[at]))
        | _between(hits[at], support[at], counted[at])
        for at in range(len(rows.names))
    ]
    return {
        "rows": rows.rows,
        **({"left_out": rows.left_out} if rows.left_out else {}),
        "classes": figures,
        "confusion": matrix.tolist(),
        "failing": failing(rows, matrix),
    }


def confusion(rows: JudgedRows) -> Array:
    """Return the weighted confusion matrix (classes, classes), or one of (2, 2) a flag."""
    count = len(rows.names)
    if rows.kind == "classes":
        matrix = np.zeros((count, count))
        guess = rows.answers.argmax(axis=1)
        np.add.at(matrix, (rows.truth.astype(int), guess), rows.weight)
        return matrix
    matrix = np.zeros((count, 2, 2))
    places = np.broadcast_to(np.arange(count), rows.truth.shape)
    weight = np.broadcast_to(rows.weight[:, None], rows.truth.shape)
    truth, guess = (rows.truth > 0.5).astype(int), (rows.answers > 0.5).astype(int)
    np.add.at(matrix, (places, truth, guess), weight)
    return matrix


def _counts(rows: JudgedRows, matrix: Array) -> tuple[Array, Array, Array, list[float]]:
    """Return hits, predictions, true ones and the effective number of true rows, of each class."""
    true = rows.truth > 0.5 if rows.kind == "flags" else None
    count = len(rows.names)
    counted = [
        effective(rows.weight[true[:, at] if true is not None else rows.truth == at])
        for at in range(count)
    ]
    if rows.kind == "flags":
        return matrix[:, 1, 1], matrix[:, :, 1].sum(axis=1), matrix[:, 1].sum(axis=1), counted
    return np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1), counted


def _figures(name: str, hits: float, predicted: float, support: float) -> dict[str, Any]:
    return {
        "class": name,
        "precision": hits / predicted if predicted else None,
        "recall": hits / support if support else None,
        "f1": 2 * hits / (predicted + support) if predicted + support else None,
        "support": support,
        "predicted": predicted,
    }


def _between(hits: float, support: float, counted: float) -> dict[str, Any]:
    if not support:
        return {}
    low, high = interval(hits / support, counted)
    return {"recall_from": low, "recall_to": high}


def interval(share: float, rows: float, chance: float = 0.05) -> tuple[float, float]:
    """Return the interval of a share of so many rows that misses it at most at ``chance`` (Clopper & Pearson 1934)."""
    from scipy.special import betaincinv

    hits, missed = share * rows, (1 - share) * rows
    low = float(betaincinv(hits, missed + 1, chance / 2)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, missed, 1 - chance / 2)) if missed > 0 else 1.0
    return low, high


def failing(rows: JudgedRows, matrix: Array) -> list[dict[str, Any]]:
    """Return the classes whose recall is far below that of all others together, beyond what chance explains.

    A class fails where its interval lies below the others', both at ``CHANCE`` over the number of classes, and its
    recall is at least ``FAR_BELOW`` less; or where it is never predicted although it has ``ROWS_TO_NAME``. Of each:
    class, recall, recall_from and recall_to (95 %), support, others (their recall) and ``never_predicted``; where half
    or more of its missed rows went to one class, of three or more, also ``taken_for``, its ``share`` of them, and
    ``largest``, whether that class has the most rows.
    """
    hits, predicted, support, counted = _counts(rows, matrix)
    present = [at for at in range(len(support)) if support[at] > 0]
    found = []
    # The others are taken together: a class may be rare, and its own recall next to unknown.
    for at in present:
        others = [each for each in present if each != at]
        weighed = sum(support[each] for each in others)
        if not weighed:
            continue
        mine, theirs = hits[at] / support[at], sum(hits[each] for each in others) / weighed
        chance = CHANCE / len(present)
        ends = interval(mine, counted[at], chance)[1], _least(theirs, counted, others, chance)
        fails = ends[0] < ends[1] and theirs - mine >= FAR_BELOW
        if fails or (not predicted[at] and counted[at] >= ROWS_TO_NAME):
            low, high = interval(mine, counted[at])
            said = {"class": rows.names[at], "recall": float(mine), "support": float(support[at])}
            said |= {"recall_from": low, "recall_to": high, "others": float(theirs)}
            said |= {"never_predicted": bool(predicted[at] == 0)}
            found.append(said | _taken_for(rows, matrix, at))
    return sorted(found, key=lambda one: one["recall"])


def _least(share: float, counted: list[float], of: list[int], chance: float) -> float:
    return interval(share, sum(counted[at] for at in of), chance)[0]


def _taken_for(rows: JudgedRows, matrix: Array, at: int) -> dict[str, Any]:
    # Of two classes there is but the other one.
    if rows.kind == "flags" or len(matrix) < 3:
        return {}
    missed = matrix[at].copy()
    missed[at] = 0
    most = int(missed.argmax())
    if missed.sum() == 0 or missed[most] < missed.sum() / 2:
        return {}
    largest = bool(matrix[most].sum() == matrix.sum(axis=1).max())
    return {
        "taken_for": rows.names[most],
        "share": float(missed[most] / missed.sum()),
        "largest": largest,
    }


def residuals(rows: JudgedRows) -> list[dict[str, Any]]:
    """Return how far predictions are off, a mapping a column: mean and sd of prediction - truth, and its quantiles."""
    errors = rows.answers - rows.truth
    found = []
    for at, name in enumerate(rows.names):
        low, half, high = np.quantile(errors[:, at], [0.05, 0.5, 0.95])
        mean = float(np.average(errors[:, at], weights=rows.weight))
        spread = math.sqrt(float(np.average((errors[:, at] - mean) ** 2, weights=rows.weight)))
        quantiles = {"quantile_5": float(low), "median": float(half), "quantile_95": float(high)}
        found.append({"column": name, "mean": mean, "sd": spread, **quantiles})
    return found
