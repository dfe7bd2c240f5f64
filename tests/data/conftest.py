from __future__ import annotations

import numpy as np
import pytest

from orchestrator.catalog import find_data
from orchestrator.config.data_options import DataOptions
from orchestrator.data import load_dataset


@pytest.fixture
def load(tmp_path):
    """Load a source relative to the test's folder, with an experiment's options."""

    def _load(source, seed=0, task="auto", **options):
        return load_dataset(
            find_data(source, tmp_path), DataOptions(source=source, **options), seed, task
        )

    return _load


@pytest.fixture
def npz(tmp_path, load):
    """Write arrays to an .npz file and load it."""

    def _npz(seed=0, options=None, **arrays):
        np.savez(tmp_path / "rows.npz", **arrays)
        return load("./rows.npz", seed, **(options or {}))

    return _npz


@pytest.fixture
def function(tmp_path, load):
    """Write a data function's body and load what it returns."""

    def _function(body, seed=0, **options):
        lines = "\n    ".join(body.splitlines())
        source = f"import numpy as np\nrng = np.random.default_rng(0)\ndef load():\n    {lines}\n"
        (tmp_path / "load.py").write_text(source, encoding="utf-8")
        return load("./load.py", seed, **options)

    return _function


@pytest.fixture
def rows():
    """Features (120, 3) and labels (120,) of three classes with 60, 40 and 20 rows."""
    rng = np.random.default_rng(7)
    y = rng.permutation(np.repeat([0, 1, 2], [60, 40, 20]))
    return rng.normal(5, [1, 10, 100], (120, 3)), y
