"""The winner's BatchNormalization averages: computed anew where that is better, and what is told of it."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.training.final_evaluation import is_better, judge
from orchestrator.training.saved_model import load_model
from orchestrator.training.trainer import Trainer
from orchestrator.trials import save_checkpoint
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import further, in_depth

HP = {"units": 8, "hidden_layers": 2, "batch_size": 32, "learning_rate": 0.05}
SGD = {"learning_rate": 0.5, "batch_size": 32}
OF_THE_START = """
def build(hp, input_shape, num_classes):
    x = inputs = keras.Input(input_shape)
    x = layers.Rescaling(10.0, offset=30.0)(x)
    x = layers.BatchNormalization(momentum=0.999)(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))
"""
"""Its averages as trained are those of the start, so that new ones are better."""
NOISE = """
def build(hp, input_shape, num_classes):
    x = inputs = keras.Input(input_shape)
    x = layers.GaussianNoise(1.0)(layers.Rescaling(0.1)(x))
    x = layers.BatchNormalization(momentum=0.9999, moving_variance_initializer=variance)(x)
    head = layers.Dense(num_classes, activation="softmax", kernel_initializer="zeros")
    return keras.Model(inputs, head(x))

variance = keras.initializers.Constant(0.02)
"""
"""Its averages as trained are those of rows without noise, so that new ones, with noise, are worse."""
FROZEN = """
def build(hp, input_shape, num_classes):
    x = inputs = keras.Input(input_shape)
    x = layers.BatchNormalization(trainable=False)(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))
"""
WORD = "recalibrat"


@pytest.fixture
def examined(train, tmp_path):
    """`examined(task, hp, metric)`: trains an epoch, examines; returns the trainer and its record."""

    def examine(task, hp, metric="val_loss"):
        trainer = Trainer(task)
        train(trainer, hp, epochs=1)
        save_checkpoint(tmp_path / "c.npz", trainer.checkpoint({"trial": "00000", "chosen": hp}))
        mode = "min" if metric == "val_loss" else "max"
        record = judge(trainer, tmp_path / "c.npz", tmp_path / "best", metric, mode)
        assert json.loads((tmp_path / "best/metrics.json").read_text()) == record
        return trainer, record

    return examine


def losses(record, part="validation"):
    return [record[f"{part}_{when}_recalibration"]["loss"] for when in ("before", "after")]


@pytest.mark.parametrize("metric", in_depth(["val_loss", "val_accuracy"], "val_loss"))
def test_new_averages_that_are_better_on_validation_rows_are_handed_over(net, examined, metric):
    _, record = examined(net(OF_THE_START), SGD, metric)
    before, after = losses(record)
    assert after < before
    assert record["recalibrated"] is True
    for part in ("validation", "test"):
        assert record[part] == record[f"{part}_after_recalibration"]


def test_new_averages_that_are_worse_on_validation_rows_are_not(net, data, examined, tmp_path):
    trainer, record = examined(net(NOISE), SGD)
    before, after = losses(record)
    assert before < after
    assert record["recalibrated"] is False
    for part in ("validation", "test"):
        assert record[part] == record[f"{part}_before_recalibration"]
    assert trainer.evaluate("test") == record["test"]
    saved = load_model(tmp_path / "best/model.keras")
    y_hat = saved.predict(data.validation.x, verbose=0)
    loss = -np.log(y_hat[np.arange(70), data.validation.y]).mean()
    assert loss == pytest.approx(before, rel=1e-4)


def test_final_hands_them_over_in_any_case(net, examined):
    task = net(NOISE, recalibrate_batch_norm="final")
    trainer, record = examined(task, SGD)
    assert record["recalibrated"] is True
    assert record["test"] == record["test_after_recalibration"] == trainer.evaluate("test")
    assert record["test"] != record["test_before_recalibration"]


def test_off_is_what_training_gave_and_tells_of_nothing_else(mlp, examined):
    task = replace(mlp, recalibrate_batch_norm="off")
    trainer, record = examined(task, HP)
    trainer.begin(HP, 1)
    curve = train_epoch(trainer)
    assert record["validation"]["loss"] == pytest.approx(curve["val_loss"], rel=1e-5)
    assert WORD not in json.dumps(record)


@pytest.mark.parametrize(
    ("asked", "tried"), [further("off", False), ("OFF", False), ("final", True)]
)
def test_a_trial_s_own_word_comes_before_the_experiment_s(mlp, examined, asked, tried):
    task = replace(mlp, recalibrate_batch_norm="off" if tried else "final")
    _, record = examined(task, HP | {"recalibrate_batch_norm": asked})
    assert ("recalibrated" in record) is tried


@pytest.mark.parametrize("kind", ["without", "frozen"])
@pytest.mark.parametrize("asked", in_depth(["auto", "final", "every_validation"], "auto"))
def test_without_averages_that_training_moves_there_is_no_word_of_it(
    mlp, net, examined, kind, asked
):
    task = replace(net(FROZEN) if kind == "frozen" else mlp, recalibrate_batch_norm=asked)
    hp = {"batch_size": 32} if kind == "frozen" else HP | {"batch_norm": False}
    _, record = examined(task, hp)
    about = {"trial", "epoch", "hyperparameters", "task", "sha256", "calibration", "noise"}
    assert set(record) - {"failing"} == about | {"validation", "test"}
    assert record["test"]["loss"] > 0


def test_averages_that_were_new_at_the_validation_stay_as_they_are(mlp, examined):
    task = replace(mlp, recalibrate_batch_norm="every_validation")
    _, record = examined(task, HP | {"dropout": 0.3})
    assert WORD not in json.dumps(record)


@pytest.mark.parametrize(
    ("new", "metric", "mode", "better"),
    [
        ({"accuracy": 0.8, "loss": 0.4}, "val_accuracy", "max", False),  # the metric decides
        ({"accuracy": 0.8, "loss": 0.4}, "val_loss", "min", True),
        ({"accuracy": 0.9, "loss": 0.4}, "val_accuracy", "max", True),  # then the loss
        ({"accuracy": 0.9, "loss": 0.5}, "val_accuracy", "max", False),  # equal is not better
        ({"accuracy": 0.95, "loss": math.nan}, "val_loss", "min", False),
        ({"accuracy": math.nan, "loss": 0.1}, "val_accuracy", "max", False),
        ({"accuracy": 0.8, "loss": 0.4}, "accuracy", "max", True),  # of training rows: the loss
        ({"accuracy": 0.8, "loss": 0.4}, "val_auc", "max", True),
    ],
)
def test_the_rule_for_trials_decides(new, metric, mode, better):
    assert is_better(new, {"accuracy": 0.9, "loss": 0.5}, metric, mode) is better


def test_a_finite_score_is_better_than_none():
    assert is_better({"loss": 0.5}, {"loss": math.nan}, "val_loss", "min")
