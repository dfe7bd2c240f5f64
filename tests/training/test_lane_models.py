"""Models of many kinds as lanes: curves of 27 epochs beside the trial alone, a refilled lane's too; or why not.

Run by ``test_backends``, on JAX: three of the models; all of them by ``KERAS_BACKEND=jax pytest -m slow`` of this file.
"""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest

from orchestrator.data import Dataset, Split
from orchestrator.data.labels import Labels
from orchestrator.training.task import Task
from tests.training.conftest import split
from tests.training.lane_models import ALONE, LANES
from tests.training.test_lanes import Worker, alone, check_alike, specs_of

pytestmark = pytest.mark.skipif(keras.backend.backend() != "jax", reason="lanes are JAX's")
EPOCHS = 27
METRICS = {"regression": "val_mae", "a loss and a metric of one's own": "val_share"}
QUICK = ("two inputs", "BatchNormalization", "a loss and a metric of one's own")


@pytest.fixture(autouse=True)
def single_precision_after():
    yield
    keras.config.set_dtype_policy("float32")


def data_of(name, data):
    """Return rows of the kind that a model learns from."""
    parts = [split(150, 0), split(70, 1), split(50, 2)]
    common = {"classes": (), "scaling": {"how": "none"}, "fingerprint": "0" * 64, "source": "here"}
    if name == "two inputs":
        parts = [Split({"a": each.x[:, :4], "b": each.x[:, 4:]}, each.y) for each in parts]
        return replace(data, **dict(zip(("train", "validation", "test"), parts, strict=True)))
    if name in ("class_weight", "sample_weight"):
        weights = [np.linspace(0.5, 2.0, each.rows, dtype="float32") for each in parts]
        heavy = [Split(e.x, e.y, None, w) for e, w in zip(parts, weights, strict=True)]
        heavy[1:] = parts[1:] if name == "class_weight" else heavy[1:]
        return replace(data, **dict(zip(("train", "validation", "test"), heavy, strict=True)))
    if name == "regression":
        parts = [Split(e.x, (e.x[:, :1] * 3 + e.x[:, 1:2] + 7).astype("float32")) for e in parts]
        return Dataset(*parts, **common, labels=Labels(form="quantities"), view="columns")
    if name == "multi-label":
        parts = [Split(e.x, (e.x[:, :3] > 0.3).astype("float32")) for e in parts]
        return Dataset(*parts, **common, labels=Labels(form="flags", width=3), view="columns")
    return data


def task_of(name):
    if name == "regression":
        return Task("regression", standardized=True)
    return Task("multilabel") if name == "multi-label" else None


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LANES],
)
def test_27_epochs_of_a_lane_are_those_of_the_trial_alone(name, net, data, train, tmp_path):
    task = net(LANES[name], epochs=EPOCHS, dataset=data_of(name, data), task=task_of(name))
    specs = specs_of(3, drop=[0.1, 0.3, 0.5])
    worker = Worker(task, tmp_path, 2, metric=METRICS.get(name, "val_accuracy"))
    ended = worker.train(specs)
    assert not [report.failure.whole for report in ended.values() if report.failure]
    told = {(report.about["path"], report.about["path_reason"]) for report in ended.values()}
    assert told == {("compiled", None)}
    assert [bank.traced for bank in worker.banks] == [1]
    for trial, curve in alone(task, specs, train).items():
        check_alike(worker.curve(trial), curve)


@pytest.mark.parametrize("name", ALONE)
def test_what_trains_by_itself_says_why(name, net, tmp_path):
    source, why = ALONE[name]
    task = net(source, epochs=2)
    worker = Worker(task, tmp_path, 2)
    ended = worker.train(specs_of(2))
    assert not [report.failure.whole for report in ended.values() if report.failure]
    assert {report.about["path"] for report in ended.values()} == {"fit"}
    assert all(why in str(report.about["path_reason"]) for report in ended.values()), ended
