"""What a compiled model will report, known without training."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

from orchestrator.training.reported import canonical_names, plain, reported
from tests.depth import further

ROWS = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
FLAGS = (ROWS[:, 0] > 0).astype("float32")


def one_output(**compiled):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, activation="sigmoid")])
    model.compile(**{"optimizer": "sgd", "loss": "binary_crossentropy"} | compiled)
    return model


def several_outputs(**compiled):
    inputs = keras.Input((4,))
    kind = keras.layers.Dense(3, activation="softmax", name="kind")(inputs)
    price = keras.layers.Dense(1, name="price")(inputs)
    model = keras.Model(inputs, [kind, price])
    losses = {"kind": "sparse_categorical_crossentropy", "price": "mse"}
    model.compile(**{"optimizer": "sgd", "loss": losses} | compiled)
    return model, [np.arange(8) % 3, ROWS[:, 0]]


class OwnStep(keras.Model):
    def train_step(self, data):
        return {"mine": 1.0}

    def test_step(self, data):
        return {"mine": 1.0, "accuracy": 0.5}


def own_step():
    inputs = keras.Input((4,))
    model = OwnStep(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    return model


def as_keras_reports(model, y):
    history = model.fit(ROWS, y, validation_data=(ROWS, y), verbose=0)
    return {*plain({name: values[-1] for name, values in history.history.items()})}


@pytest.mark.parametrize(
    "metrics",
    [
        further([]),
        further(["accuracy"]),
        ["acc", "AUC", "mse"],
        further([keras.metrics.AUC(name="a"), keras.metrics.AUC(name="a")]),
        further([keras.metrics.MeanAbsoluteError(name="mine"), keras.losses.cosine_similarity]),
        [keras.metrics.F1Score(threshold=0.5, average=None), keras.metrics.Precision(name="p")],
    ],
    ids=["none", "accuracy", "names", "one name twice", "a function", "figures a class"],
)
def test_the_names_are_those_of_fit(metrics):
    found = reported(one_output(metrics=metrics), (ROWS, FLAGS[:, None]))
    assert {*found} == as_keras_reports(one_output(metrics=metrics), FLAGS[:, None])


@pytest.mark.parametrize(
    "compiled",
    [
        further({}),
        further({"metrics": {"kind": "accuracy", "price": ["mae", "mae"]}}),
        {"metrics": [["accuracy"], ["mae"]], "weighted_metrics": [["accuracy"], ["mse"]]},
    ],
    ids=str,
)
def test_the_names_of_several_outputs_are_those_of_fit(compiled):
    model, y = several_outputs(**compiled)
    assert {*reported(model, (ROWS, y))} == as_keras_reports(several_outputs(**compiled)[0], y)


def test_weights_stay_as_they_are():
    model = one_output(metrics=["accuracy"])
    before = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    reported(model, (ROWS, FLAGS[:, None]))
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def test_of_a_step_of_ones_own_what_it_returns():
    assert reported(own_step(), (ROWS, FLAGS)) == {"val_mine": None, "val_accuracy": "max"}


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        (keras.metrics.MeanAbsoluteError(name="mine"), "min"),
        (keras.metrics.AUC(name="mine"), "max"),
        (keras.metrics.R2Score(name="mine"), "max"),
        (keras.metrics.FalseNegatives(name="accuracy"), "min"),
        (keras.metrics.MeanMetricWrapper(keras.losses.cosine_similarity, name="mine"), "min"),
        (keras.metrics.CosineSimilarity(name="mine"), "max"),
        (keras.metrics.MeanMetricWrapper(lambda y, p: y - p, name="mine"), None),
        (keras.metrics.Mean(name="mine"), None),
    ],
    ids=lambda found: found if isinstance(found, str | None) else type(found).__name__,
)
def test_a_metrics_class_tells_its_direction_whichever_name_it_bears(metric, direction):
    tracked = type(metric) is keras.metrics.Mean
    model = one_output(metrics=[] if tracked else [metric])
    if tracked:
        model.extra = metric
    assert reported(model, (ROWS, FLAGS[:, None]))[f"val_{metric.name}"] == direction


def test_a_function_is_known_by_its_own_name():
    def word_error(y, p):
        return keras.ops.abs(y - p)

    def mine(y, p):
        return keras.ops.abs(y - p)

    found = reported(one_output(metrics=[word_error, mine]), (ROWS, FLAGS[:, None]))
    assert (found["val_word_error"], found["val_mine"]) == ("min", None)


def test_what_keras_numbered_over_a_process_has_one_name_in_each_model():
    for _ in range(3):
        model = one_output(metrics=[keras.metrics.AUC(), keras.metrics.AUC(curve="PR")])
        found = reported(model, (ROWS, FLAGS[:, None]))
        assert {"val_auc", "val_auc_1"} < {*found}
        assert not {"val_auc_2", "val_auc_3", "val_auc_4"} & {*found}


def test_a_name_that_somebody_gave_stays():
    keras.src.utils.naming.reset_uids()
    model = one_output(metrics=[keras.metrics.AUC(name="auc_1")])
    assert "val_auc_1" in reported(model, (ROWS, FLAGS[:, None]))


def test_each_outputs_metrics_are_numbered_by_themselves():
    keras.metrics.MeanAbsoluteError()
    model, y = several_outputs(
        metrics={"kind": "accuracy", "price": [keras.metrics.MeanAbsoluteError(name=None)]}
    )
    reported(model, (ROWS, y))
    assert "price_mean_absolute_error" not in canonical_names(model)
