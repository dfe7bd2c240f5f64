"""A trial on a warm, reused program is the same trial as on a fresh one and as Keras's own `fit`."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import keras
import numpy as np
import pytest

from orchestrator.data.splits import weighted_by_class
from orchestrator.training import optimizers
from orchestrator.training.keras_backend import IS_TENSORFLOW, RUNS_PYTHON
from orchestrator.training.trainer import Trainer
from tests.depth import in_depth

EPOCHS = 2
SEED = 5
PLAIN = {"units": 8, "hidden_layers": 1, "batch_size": 32, "learning_rate": 0.05}
TRIALS = {
    "sgd": {},
    "sgd with dropout and decay": {
        "dropout": 0.3, "learning_rate_decay": 0.5, "weight_decay": 0.01, "momentum": 0.95,
    },
    "sgd without momentum and BatchNormalization": {"batch_norm": False, "momentum": 0.0},
    "adam with weight decay and smoothed labels": {
        "optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.1, "label_smoothing": 0.1,
        "beta_1": 0.8, "epsilon": 1e-4,
    },
    "adamw": {"optimizer": "adamw", "learning_rate": 0.01, "beta_2": 0.99, "dropout": 0.2},
    "rmsprop": {"optimizer": "rmsprop", "learning_rate": 0.01, "momentum": 0.5, "beta_2": 0.8},
    "rmsprop without momentum": {
        "optimizer": "rmsprop", "learning_rate": 0.01, "momentum": 0.0, "epsilon": 1e-3,
        "decay_schedule": "exponential", "learning_rate_decay": 0.1,
    },
    "one batch larger than the data": {"batch_size": 512},
}  # fmt: skip


def stock_optimizer(hp: dict[str, Any]) -> keras.optimizers.Optimizer:
    """Keras's own optimizer, put together here by hand."""
    rate, decay = hp["learning_rate"], hp.get("weight_decay")
    adam = {
        "beta_1": hp.get("beta_1", 0.9),
        "beta_2": hp.get("beta_2", 0.999),
        "epsilon": hp.get("epsilon", 1e-7),
    }
    match hp.get("optimizer", "sgd"):
        case "sgd":
            return keras.optimizers.SGD(rate, momentum=hp.get("momentum", 0.9), weight_decay=decay)
        case "adam":
            return keras.optimizers.Adam(rate, **adam, weight_decay=decay)
        case "adamw":
            return keras.optimizers.AdamW(rate, **adam, weight_decay=decay or 0.004)
        case _:
            return keras.optimizers.RMSprop(
                rate,
                rho=hp.get("beta_2", 0.999),
                momentum=hp.get("momentum", 0.9),
                epsilon=hp.get("epsilon", 1e-7),
            )


def rate_at(hp: dict[str, Any], epoch: int) -> float:
    decay = hp.get("learning_rate_decay", 0.0)
    if hp.get("decay_schedule") == "exponential":
        return hp["learning_rate"] * (1 - decay) ** epoch
    return hp["learning_rate"] / (1 + decay * epoch)


def by_fit(
    task, hp: dict[str, Any], seed: int, class_weight: Any = None
) -> tuple[list[dict[str, float]], list[np.ndarray]]:
    """The same trial as anyone would write it: build, compile, `fit` over the rows in that order."""
    data = task.dataset
    rows = len(data.train.y)
    momentum = min(0.99, max(0.5, 1 - 10 / math.ceil(rows / hp["batch_size"])))
    keras.utils.set_random_seed(seed)
    model = task.model.load()({**hp, "batch_norm_momentum": momentum}, data.input_shape, 3)
    smoothing = hp.get("label_smoothing")
    if smoothing:
        loss: Any = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
        code = np.eye(3, dtype="float32")
    else:
        loss, code = "sparse_categorical_crossentropy", np.arange(3, dtype="int32")
    model.compile(stock_optimizer(hp), loss=loss, metrics=["accuracy"], jit_compile=False)
    curve = []
    for epoch in range(EPOCHS):
        order = np.random.default_rng([seed, epoch]).permutation(rows)
        model.optimizer.learning_rate = rate_at(hp, epoch)
        x, y = data.train.x[order], code[data.train.y[order]]
        fitted = model.fit(
            x, y, batch_size=hp["batch_size"], shuffle=False, verbose=0, class_weight=class_weight
        )
        validation = model.evaluate(
            data.validation.x, code[data.validation.y], verbose=0, return_dict=True
        )
        curve.append(
            {name: values[0] for name, values in fitted.history.items()}
            | {f"val_{name}": value for name, value in validation.items()}
        )
    return curve, model.get_weights()


@pytest.fixture(scope="module")
def warm(mlp) -> Trainer:
    """One trainer for all of these trials, as a worker has: none of them finds it fresh."""
    return Trainer(mlp)


@pytest.mark.parametrize("name", in_depth(TRIALS, "adamw"))
def test_a_trial_on_a_reused_program_equals_fresh_ones_and_fit(name, mlp, warm, train, state, same):
    hp = PLAIN | TRIALS[name]
    other = hp | {"learning_rate": 0.5, "batch_size": 20, "momentum": 0.99, "beta_1": 0.5}
    train(warm, other, seed=SEED + 1, epochs=1)
    programs = warm.programs.traced
    on_reused = train(warm, hp, SEED, EPOCHS)
    found = warm.programs.traced == programs
    assert found or RUNS_PYTHON, "the trial was meant to find its program"
    fresh = Trainer(mlp)
    on_fresh = train(fresh, hp, SEED, EPOCHS)
    assert on_reused == on_fresh
    same(state(warm), state(fresh))
    expected, weights = by_fit(mlp, hp, SEED)
    for epoch, row in enumerate(on_reused):
        assert row.pop("learning_rate") == pytest.approx(rate_at(hp, epoch))
        assert row == pytest.approx(expected[epoch], rel=2e-4, abs=1e-5), f"epoch {epoch + 1}"
    same(warm.backend.compiled.model.get_weights(), weights, rtol=2e-3, atol=2e-4)


@pytest.mark.cluster
def test_class_weights_count_in_training_alone_as_in_fit(mlp, warm, train):
    data = mlp.dataset
    asked = dict(zip(data.classes, (1.0, 20.0, 3.0), strict=True))
    weighted = dataclasses.replace(mlp, dataset=weighted_by_class(data, asked, "data"))
    expected, _ = by_fit(mlp, PLAIN, SEED, class_weight={0: 1.0, 1: 20.0, 2: 3.0})
    assert expected[0]["loss"] > 2 * train(warm, PLAIN, SEED, 1)[0]["loss"], "they do count"
    for row, plain in zip(train(Trainer(weighted), PLAIN, SEED, EPOCHS), expected, strict=True):
        row.pop("learning_rate")
        assert row == pytest.approx(plain, rel=2e-4, abs=1e-5)


EMBEDDED = """
def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    a = layers.Embedding(7, 5)(keras.ops.cast(keras.ops.abs(inputs) * 2 % 7, "int32"))
    a = layers.BatchNormalization()(layers.Flatten()(a))
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(a))
"""


@pytest.mark.skipif(not IS_TENSORFLOW, reason="of TensorFlow's operations")
@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_adam_in_one_operation_is_adam_to_the_last_bit(name, net, train, state, same, monkeypatch):
    hp = {"optimizer": name, "learning_rate": 0.01, "beta_1": 0.85, "beta_2": 0.99, "epsilon": 1e-4}
    plain, asked = optimizers.fits_one_operation, list[bool]()

    def is_asked(gradient, variable):
        asked.append(plain(gradient, variable))
        return asked[-1]

    monkeypatch.setattr(optimizers, "fits_one_operation", is_asked)
    found = Trainer(net(EMBEDDED))
    curve = train(found, {**hp, "batch_size": 32}, SEED, 3)
    assert set(asked) == {True, False}, "an embedding's gradient is of some of its rows alone"
    monkeypatch.setattr(optimizers, "fits_one_operation", lambda *_: False)
    expected = Trainer(net(EMBEDDED))
    assert curve == train(expected, {**hp, "batch_size": 32}, SEED, 3)
    same(state(found), state(expected))
