"""Scaling, fitted on training rows alone: a shift and a divisor for each entry of the last axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.data.trees import Array, as_keras_takes, chunks


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


def moments_of(x: Array, rows: Array | None = None) -> Moments:
    """Return the moments of an array, or of the rows of it with the given indices."""
    moments: Moments | None = None
    for span in chunks(x, None if rows is None else len(rows)):
        chunk = x[span] if rows is None else x[rows[span]]
        moments = Moments.of(chunk) if moments is None else moments.plus(chunk)
    if moments is None:
        raise ValueError("moments of no rows")
    return moments


class ColumnMoments:
    """Count, mean, squares, smallest and largest of each column, over the values that are there.

    Merged chunk after chunk as ``scaling.Moments`` (Chan, Golub & LeVeque 1983); without gaps the
    same figures to the last bit.
    """

    def __init__(self, width: int) -> None:
        self._count = np.zeros(width)
        self._mean = np.zeros(width)
        self._squares = np.zeros(width)
        self._low = np.full(width, np.inf)
        self._high = np.full(width, -np.inf)

    def add(self, rows: Array) -> None:
        """Take in rows (rows, width), NaN where a value is missing."""
        if not len(rows):
            return
        gaps = np.isnan(rows)
        count = len(rows) - gaps.sum(axis=0)
        mean = np.where(gaps, 0, rows).sum(axis=0) / np.maximum(count, 1)
        away = np.where(gaps, 0, rows - mean)
        low = np.where(gaps, np.inf, rows).min(axis=0)
        high = np.where(gaps, -np.inf, rows).max(axis=0)
        self._merge(count, mean, np.einsum("ij,ij->j", away, away), (low, high))

    @property
    def means(self) -> Array:
        """The mean of each column; NaN where no value is there."""
        return np.where(self._count > 0, self._mean, np.nan)

    def filled(self, fills: Array, rows: int) -> tuple[Array, Array, Array, Array]:
        """Return mean, squares, smallest and largest once each column's gaps hold its fill."""
        gaps = rows - self._count
        there = np.where(gaps > 0, fills, 0.0)
        ends = np.where(gaps > 0, fills, np.inf), np.where(gaps > 0, fills, -np.inf)
        self._merge(gaps, there, np.zeros_like(there), ends)
        return self._mean, self._squares, self._low, self._high

    def _merge(self, count: Array, mean: Array, squares: Array, ends: tuple[Array, Array]) -> None:
        whole = self._count + count
        share = count / np.maximum(whole, 1)
        away = mean - self._mean
        self._squares = self._squares + squares + away**2 * (self._count * share)
        self._mean = np.where(self._count > 0, self._mean + away * share, mean)
        self._mean = np.where(whole > 0, self._mean, 0)
        self._low = np.minimum(self._low, ends[0])
        self._high = np.maximum(self._high, ends[1])
        self._count = whole
