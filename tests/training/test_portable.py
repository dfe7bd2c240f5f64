"""The model that is saved: raw rows in, answers in the user's unit out, whatever size the user's numbers have."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from orchestrator.catalog import DataReference
from orchestrator.config.data_options import DataOptions
from orchestrator.data.assemble import assemble
from orchestrator.data.dataset import DataRequest
from orchestrator.training.portable import alike, portable
from orchestrator.training.saved_model import Transforms
from orchestrator.training.task import LearningGoal, Task


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_features_and_quantities_of_any_size_are_scaled_and_brought_back(tmp_path, size):
    rng = np.random.default_rng(0)
    x = size * rng.normal(3, 1, (60, 4))
    y = size * rng.normal(20, 1, 60)
    options = DataOptions(source="x", scale="standard")
    request = DataRequest(DataReference("object", "x", "load.py"), options, 0)
    dataset = assemble({"train": (x, y)}, request)
    net = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    goal = LearningGoal(Task("regression"), "standardized", dataset.labels.std)
    portable(net, Transforms.of(dataset, goal)).save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    expected = np.asarray(net(dataset.test.x)) * dataset.labels.std + dataset.labels.mean
    found = np.asarray(loaded(dataset.raw.astype("float32")))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4 * size)


def test_figures_are_alike_by_the_unit_of_each_column():
    expected = np.array([[2000.0, 3e-9], [1000.0, 1e-9]])
    unit = np.array([500.0, 1e-9])
    assert not alike(expected + np.array([0, 1e-9]), expected, unit)
    assert alike(expected + np.array([0.5, 0]), expected, unit)
