"""Features are numbers, one row each, without gaps: or one sentence says what they are instead."""

from __future__ import annotations

from typing import Any

import numpy as np

from orchestrator.data.dataset import Array
from orchestrator.data.refusal import refused
from orchestrator.data.scaling import chunks


def check_features(x: object, where: str) -> Array:
    """Return ``x`` as an array (rows, ...) of finite booleans, integers or floats, not copied."""
    try:
        features = np.asarray(x)
    except ValueError as error:
        raise refused(where, "rows of one shape were expected", str(error).rstrip(".")) from error
    if features.dtype.kind not in "biuf":
        raise refused(where, "numbers were expected in x", f"values of type {features.dtype}")
    if features.ndim < 2:
        raise refused(where, "x of shape (rows, features...) was expected", f"{features.shape}")
    if 0 in features.shape:
        raise refused(where, "x with rows and features was expected", f"shape {features.shape}")
    if features.dtype.kind == "f":
        _check_finite(features, where)
    return features


def check_lengths(x: Array, y: Any, where: str) -> None:
    """Return when there are as many labels as rows of features."""
    labels = np.shape(y)
    if labels[:1] != x.shape[:1]:
        received = f"x of shape {x.shape} and y of shape {labels}"
        raise refused(where, "as many labels as rows were expected", received)


def _check_finite(x: Array, where: str) -> None:
    """Refuse NaN and infinities, also those that float32 would make."""
    count, first = 0, ""
    for rows in chunks(x):
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(x[rows].astype(np.float32))
        if not bad.any():
            continue
        if not count:
            row, *place = (int(index) for index in np.argwhere(bad)[0])
            column = place[0] if len(place) == 1 else tuple(place)
            first = f"row {row + rows.start}, column {column}"
        count += int(bad.sum())
    if count:
        received = f"{count} that are NaN or infinite, the first in {first}"
        raise refused(where, "finite numbers were expected in x", received)
