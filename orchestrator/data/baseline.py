"""What a guess that looks at no feature scores on the validation rows: less than that is no model."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestrator.data.dataset import Dataset
from orchestrator.data.trees import Array

LARGE = MUCH_LARGER = 100.0
"""Of which mean size, or how much larger than another, a column may be before that is worth a hint."""


def baseline(dataset: Dataset, quantities: bool = False) -> dict[str, float]:
    """Return the score of the best constant: the most frequent class or flag, or the mean, of the training rows.

    ``accuracy`` of classes; of flags their mean accuracy; of quantities ``mae``, in their unit, over rows and columns.
    Empty for labels of several outputs. ``quantities``: numbers are learned as such, whatever their form.
    """
    labels = dataset.labels
    train, validation = dataset.train.labels, dataset.validation.labels
    if labels.form == "classes" and not quantities:
        codes = labels.view(train, "codes")
        guess = int(np.bincount(codes).argmax())
        return {"accuracy": _mean(labels.view(validation, "codes") == guess)}
    if labels.form not in ("classes", "flags", "quantities"):
        return {}
    seen, true = labels.view(train, "columns"), labels.view(validation, "columns")
    mean = seen.mean(axis=0)
    if labels.form == "flags" and not quantities:
        return {"accuracy": _mean(true == (mean > 0.5))}
    return {"mae": _mean(np.abs(true - mean))}


def ill_sized(x: Any) -> str | None:
    """Return what of columns of floats is such that a plain net is better given scaled ones: they "are large", say."""
    flat = isinstance(x, np.ndarray) and x.ndim == 2 and x.shape[1] > 1 and x.dtype.kind == "f"
    if not flat:
        return None
    sizes = np.abs(x).mean(axis=0)
    sizes = sizes[sizes > 0]
    if len(sizes) > 1 and sizes.max() > MUCH_LARGER * sizes.min():
        return "differ much in size"
    return "are large" if len(sizes) and sizes.max() > LARGE else None


def _mean(values: Array) -> float:
    return float(np.mean(values))
