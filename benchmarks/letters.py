"""Rows of the size of the UCI letters: 20,000 of 16 numbers in 26 classes, made by scikit-learn."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import make_classification


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return features (20,000, 16) and classes; several clusters a class, so that a linear model does not do."""
    x, y = make_classification(
        20_000, 16, n_informative=14, n_redundant=2, n_classes=26, n_clusters_per_class=3,
        class_sep=2.0, random_state=0,
    )  # fmt: skip
    return x.astype("float32"), y
