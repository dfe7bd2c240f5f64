from __future__ import annotations

import inspect

import keras
import pytest
from keras.src.utils.naming import to_snake_case

from orchestrator.config import parse_experiment
from orchestrator.config.metrics import LESS_IS_GOOD, MORE_IS_GOOD, contradicts, direction_of
from orchestrator.errors import ExperimentFileError

FILE = {"name": "a", "model": "mlp", "data": "digits", "search_space": "mlp"}
AVERAGES = {"Mean", "Sum", "MeanMetricWrapper", "Metric"}
METRICS = [
    name
    for name, kind in inspect.getmembers(keras.metrics, inspect.isclass)
    if issubclass(kind, keras.metrics.Metric) and name not in AVERAGES
]
LOSSES = [
    name
    for name, kind in inspect.getmembers(keras.losses, inspect.isclass)
    if issubclass(kind, keras.losses.Loss) and name != "Loss"
]
# Names of losses that other people give to metrics of which more is good.
LOSSES_OF_NO_KNOWN_NAME = {"Dice", "Tversky", "Circle", "CosineSimilarity"}


@pytest.mark.parametrize("name", METRICS)
def test_the_direction_of_each_of_keras_metrics_is_known_by_its_name(name):
    assert direction_of(to_snake_case(name)) is not None
    assert direction_of(f"val_{name}") == direction_of(to_snake_case(name))


@pytest.mark.parametrize("name", [name for name in LOSSES if name not in LOSSES_OF_NO_KNOWN_NAME])
def test_less_is_good_of_each_of_keras_losses(name):
    assert direction_of(f"val_{to_snake_case(name)}") == "min"


def test_no_name_is_in_both_tables():
    assert not MORE_IS_GOOD & LESS_IS_GOOD


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("val_accuracy", "max"), ("val_loss", "min"), ("loss", "min"), ("val_mae", "min"),
        ("val_sparse_categorical_crossentropy", "min"), ("val_auc_1", "max"), ("val_AUC", "max"),
        ("val_MeanSquaredError_2", "min"), ("val_price_mae", "min"), ("val_kind_accuracy", "max"),
        ("val_price_loss", "min"), ("val_top_5_accuracy", "max"), ("val_macro_f1", "max"),
        ("val_kind_top_k_categorical_accuracy", "max"), ("val_false_positives", "min"),
        ("val_true_negatives", "max"), ("val_r2_score", "max"), ("val_kld", "min"),
        ("val_mean_io_u", "max"), ("val_weighted_auc", "max"), ("val_word_error", "min"),
        ("val_cosine_similarity", "max"), ("val_rmse", "min"), ("val_root_mean_squared_error", "min"),
        ("val_mine", None), ("val_neg_mse", None), ("val_one_minus_accuracy", None),
        ("val_dice", None), ("val_", None), ("", None), ("val_neg_loss", None),
    ],
)  # fmt: skip
def test_what_is_known_of_a_name(metric, direction):
    assert direction_of(metric) == direction


@pytest.mark.parametrize(
    ("metric", "mode", "good"),
    [
        ("val_accuracy", "min", "expected max, since a high val_accuracy is good"),
        ("val_loss", "max", "expected min, since a low val_loss is good"),
        ("val_price_mae", "max", "expected min, since a low val_price_mae is good"),
        ("val_auc_3", "min", "expected max, since a high val_auc_3 is good"),
    ],
)
def test_a_direction_against_a_known_metric_is_refused(metric, mode, good):
    with pytest.raises(ExperimentFileError, match=good):
        parse_experiment({**FILE, "metric": metric, "mode": mode})


def test_what_is_not_known_is_taken_as_said():
    assert parse_experiment({**FILE, "metric": "val_mine", "mode": "min"}).direction == "min"
    assert parse_experiment({**FILE, "metric": "val_cosine_similarity", "mode": "min"})
    assert not contradicts("min", "val_neg_accuracy")


def test_left_out_it_is_as_the_name_tells():
    assert parse_experiment({**FILE, "metric": "val_accuracy"}).direction == "max"
    assert parse_experiment({**FILE, "metric": "val_loss"}).direction == "min"
    assert parse_experiment({**FILE, "metric": "val_mine"}).direction is None
