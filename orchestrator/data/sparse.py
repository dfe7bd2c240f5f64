"""SciPy's sparse matrices become arrays where those fit in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.data.notice import notice
from orchestrator.data.refusal import refused

SHARE_OF_MEMORY = 0.25


def dense(pieces: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the pieces with SciPy's sparse matrices as arrays, where those fit in memory."""
    return {
        part: tuple(dense_array(value, where) for value in piece)
        if isinstance(piece, tuple)
        else piece
        for part, piece in pieces.items()
    }


def dense_array(value: Any, where: str) -> Any:
    """Return a sparse matrix as an array where it fits in memory, anything else as it is."""
    if not (hasattr(value, "toarray") and hasattr(value, "nnz") and hasattr(value, "dtype")):
        return value
    import psutil

    size = int(np.prod(value.shape)) * value.dtype.itemsize
    free: int = psutil.virtual_memory().available
    if size > SHARE_OF_MEMORY * free:
        expected = f"features of at most {SHARE_OF_MEMORY * free / 2**30:.1f} GiB were expected"
        received = f"a sparse matrix of shape {value.shape}, which takes {size / 2**30:.1f} GiB as an array"
        hint = (
            "Reduce the features (max_features=..., TruncatedSVD), or return .toarray() of fewer"
            " rows or of a smaller type."
        )
        raise refused(where, expected, received, hint)
    notice(f"{where}: a sparse matrix of shape {value.shape} was made an array ({size:,} bytes)")
    return value.toarray()
