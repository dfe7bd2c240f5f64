"""Moments of columns in which values may be missing."""

from __future__ import annotations

import numpy as np

from orchestrator.data.trees import Array


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
