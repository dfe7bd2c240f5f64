"""What a regression reports: figures of quantities in the user's units, their variables made at once."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


class MeanAbsoluteError(keras.metrics.Mean):  # type: ignore[misc]
    """The mean absolute error over rows and columns, ``mae``; ``scale`` (columns,) undoes the targets' division."""

    def __init__(self, scale: Any = None, name: str = "mae") -> None:
        super().__init__(name=name)
        self._scale = None if scale is None else ops.convert_to_tensor(scale, "float32")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        errors = ops.abs(ops.cast(y_true, "float32") - ops.cast(y_pred, "float32"))
        errors = errors if self._scale is None else errors * self._scale
        super().update_state(ops.mean(errors, axis=-1), sample_weight)


class RSquared(keras.metrics.Metric):  # type: ignore[misc]
    """The share of variance explained, ``r2``: over all rows, mean of the columns' as scikit-learn's ``r2_score``.

    Summed in double precision: targets whose mean is large beside their deviation would cancel in single.
    """

    def __init__(self, columns: int = 1, name: str = "r2") -> None:
        super().__init__(name=name)
        names = ("rows", "total", "squares", "residuals")
        self._sums = [
            self.add_weight(shape=(columns,), initializer="zeros", dtype="float64", name=n)
            for n in names
        ]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        y_true, y_pred = ops.cast(y_true, "float64"), ops.cast(y_pred, "float64")
        found = (
            ops.ones_like(y_true),
            y_true,
            ops.square(y_true),
            ops.square(y_true - y_pred),
        )
        for total, values in zip(self._sums, found, strict=True):
            total.assign_add(ops.sum(values, axis=0))

    def result(self) -> Any:
        """Return 1 - residuals / variance; 0 where the targets do not vary."""
        rows, total, squares, residuals = self._sums
        spread = squares - ops.square(total) / ops.maximum(rows, 1.0)
        share = ops.where(spread > 0, residuals / ops.where(spread > 0, spread, 1.0), 1.0)
        return ops.cast(ops.mean(1.0 - share), "float32")
