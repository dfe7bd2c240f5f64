"""Features are numbers, one row each, without gaps: or one sentence says what they are instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from orchestrator.data.refusal import refused
from orchestrator.data.scaling import chunks
from orchestrator.data.trees import Array, leaves


def check_features(x: object, where: str) -> Any:
    """Return ``x`` as an array (rows, ...) of finite booleans, integers or floats, or a tree of those by input.

    Several inputs come as a dictionary by name, where one may be a single number a row, (rows,), or as a list or
    tuple of arrays of as many rows. Not copied.
    """
    if isinstance(x, Mapping):
        return {
            str(name): _array(value, f"{where}, input {name!r}", 1) for name, value in x.items()
        }
    if isinstance(x, list | tuple) and _are_inputs(x):
        return tuple(_array(value, f"{where}, input {at}") for at, value in enumerate(x))
    return _array(x, where)


def _are_inputs(pieces: Sequence[Any]) -> bool:
    """Tell a list of arrays, one an input, from a list of rows: arrays of one length, which is not that of the list."""
    arrays = all(hasattr(piece, "ndim") and piece.ndim > 1 for piece in pieces)
    return arrays and len(pieces) > 1 and len({len(piece) for piece in pieces}) == 1


def _array(x: object, where: str, dimensions: int = 2) -> Array:
    try:
        features = np.asarray(x)
    except ValueError as error:
        raise refused(where, "rows of one shape were expected", str(error).rstrip(".")) from error
    if features.dtype.kind not in "biuf":
        hint = "Make numbers of them in load(), or return a frame: its texts become one column a category."
        raise refused(where, "numbers were expected in x", f"values of type {features.dtype}", hint)
    if features.ndim < dimensions:
        raise refused(where, "x of shape (rows, features...) was expected", f"{features.shape}")
    if 0 in features.shape:
        raise refused(where, "x with rows and features was expected", f"shape {features.shape}")
    if features.dtype.kind == "f":
        _check_finite(features, where)
    return features


def check_lengths(x: Any, y: Any, where: str) -> None:
    """Return when there are as many labels as rows of features, in each array of several."""
    rows = {len(array) if np.ndim(array) else 0 for _, array in (*leaves(x), *leaves(y))}
    if len(rows) > 1:
        shapes = [
            f"{name} of shape {np.shape(array)}"
            for name, array in (*leaves(x, "x"), *leaves(y, "y"))
        ]
        received = " and ".join(shapes)
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
        hint = "Fill or drop them in load(); gaps of a frame are filled by data.missing."
        raise refused(where, "finite numbers were expected in x", received, hint)
