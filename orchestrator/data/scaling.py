"""Scaling, fitted on training rows alone: a shift and a divisor for each entry of the last axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.data.trees import Array, as_keras_takes

_CHUNK_VALUES = 2_000_000


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean, sum of squared deviations, smallest and largest, of each entry of the last axis.

    For vectors that is each feature, for images each channel. ``plus`` merges a further chunk
    (Chan, Golub & LeVeque 1983), so a stream needs one pass and no large sums.
    """

    count: int
    mean: Array
    squares: Array
    low: Array
    high: Array

    @classmethod
    def of(cls, x: Array) -> Moments:
        """Return the moments of one chunk of at least one row, in float64."""
        flat = x.reshape(-1, x.shape[-1]).astype(np.float64)
        mean = flat.mean(axis=0)
        low, high = flat.min(axis=0), flat.max(axis=0)
        flat -= mean
        return cls(len(flat), mean, np.einsum("ij,ij->j", flat, flat), low, high)

    def plus(self, x: Array) -> Moments:
        """Return the moments of these rows and those of ``x`` together."""
        if not len(x):
            return self
        more = Moments.of(x)
        count = self.count + more.count
        away = more.mean - self.mean
        return Moments(
            count,
            self.mean + away * (more.count / count),
            self.squares + more.squares + away**2 * (self.count * more.count / count),
            np.minimum(self.low, more.low),
            np.maximum(self.high, more.high),
        )


@dataclass(frozen=True, eq=False)
class Scaler:
    """``(x - shift) / divisor``, and the words of the record for it."""

    how: str
    shift: Array
    divisor: Array
    document: dict[str, Any]

    def scale(self, x: Array) -> Array:
        """Return new float32 rows, the arithmetic in float64; unscaled ones keep their type, as in Keras."""
        if self.how == "none":
            unscaled: Array = as_keras_takes(x)
            return unscaled
        scaled = np.empty(x.shape, dtype=np.float32)
        for rows in chunks(x):
            scaled[rows] = (x[rows] - self.shift) / self.divisor
        return scaled


def fit_scaler(how: str, moments: Moments | None) -> Scaler:
    """Return the scaler of ``auto``, ``standard``, ``minmax`` or ``none``; auto is standard.

    A feature that is constant over the training rows is only shifted: its divisor is 1.
    """
    if how == "none" or moments is None:
        return Scaler("none", np.zeros(1), np.ones(1), {"how": "none"})
    constant = moments.low == moments.high
    if how == "minmax":
        width = np.where(constant, 1.0, moments.high - moments.low)
        document = {"how": how, "min": moments.low.tolist(), "max": moments.high.tolist()}
        return Scaler(how, moments.low, width, document)
    mean = np.where(constant, moments.low, moments.mean)
    std = np.where(constant, 1.0, np.sqrt(moments.squares / moments.count))
    document = {"how": "standard", "mean": mean.tolist(), "std": std.tolist()}
    return Scaler("standard", mean, std, document)


def chunks(x: Array) -> Iterator[slice]:
    """Yield slices of rows that hold a bounded number of values each."""
    size = max(1, _CHUNK_VALUES // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x), size):
        yield slice(start, start + size)


def moments_of(x: Array, rows: Array | None = None) -> Moments:
    """Return the moments of an array, or of the rows of it with the given indices."""
    count = len(x) if rows is None else len(rows)
    size = max(1, _CHUNK_VALUES // max(1, int(np.prod(x.shape[1:]))))
    moments: Moments | None = None
    for start in range(0, count, size):
        span = slice(start, start + size)
        chunk = x[span] if rows is None else x[rows[span]]
        moments = Moments.of(chunk) if moments is None else moments.plus(chunk)
    if moments is None:
        raise ValueError("moments of no rows")
    return moments
