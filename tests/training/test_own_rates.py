"""α of an optimizer that the model's builder made: live where it is a plain variable, known where it is not."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from orchestrator.errors import RequestError
from orchestrator.sitter import learning_rates
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch

NET = """
    def build(hp, input_shape, num_classes):
        model = keras.Sequential([
            keras.Input(input_shape), layers.Dense(num_classes, activation="softmax")
        ])
        model.compile({optimizer}, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
PLAIN = "keras.optimizers.Adam(0.02)"
READ = 'keras.optimizers.Adam(0.1 * hp["learning_rate"])'
SCALED = "keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.02))"
SCHEDULE = "keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 9, 0.5))"
SEVERAL = "Slow(keras.optimizers.Adam(0.02))"
SLOW = """
    class Slow(keras.optimizers.SGD):
        def __init__(self, inner):
            super().__init__(0.5)
            self.inner = inner
"""


def rate(trainer):
    return float(trainer.backend.compiled.model.optimizer.learning_rate)


@pytest.fixture
def begun(net):
    """`begun(optimizer, **hp)`: a trainer before its first epoch."""

    def at(optimizer, **hp):
        trainer = Trainer(net(SLOW + NET.format(optimizer=optimizer)))
        trainer.begin({"batch_size": 32} | hp, 1)
        return trainer

    return at


def plain_curve(data, rates):
    keras.utils.set_random_seed(1)
    head = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((6,)), head])
    model.compile(
        keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    losses = []
    for epoch, value in enumerate(rates):
        model.optimizer.learning_rate = value
        order = np.random.default_rng([1, epoch]).permutation(150)
        x, y = data.train.x[order], data.train.y[order]
        losses += model.fit(x, y, batch_size=32, shuffle=False, verbose=0).history["loss"]
    return losses


@pytest.mark.parametrize(
    ("hp", "rates"),
    [
        ({}, [0.02, 0.02]),
        pytest.param({"learning_rate": 0.3}, [0.3, 0.3], marks=pytest.mark.cluster),
        pytest.param({"learning_rate_decay": 1.0}, [0.02, 0.01], marks=pytest.mark.cluster),
        ({"learning_rate": 0.2, "learning_rate_decay": 0.5, "decay_schedule": "exponential"},
         [0.2, 0.1]),
    ],
)  # fmt: skip
def test_the_rate_that_is_asked_for_is_set_and_else_the_builders_stays(begun, data, hp, rates):
    trainer = begun(PLAIN, **hp)
    rows = [train_epoch(trainer) for _ in rates]
    assert [row["loss"] for row in rows] == pytest.approx(plain_curve(data, rates), rel=1e-4)
    assert rate(trainer) == pytest.approx(rates[-1])
    assert [row.get("learning_rate") for row in rows] == (rates if hp else [None, None])


@pytest.mark.parametrize("optimizer", [PLAIN, pytest.param(SCALED, marks=pytest.mark.cluster)])
def test_a_change_is_live_and_tried_rates_are_rates(begun, optimizer):
    trainer = begun(optimizer)
    assert trainer.hyperparameters["learning_rate"] == 0.02
    traced = trainer.programs.traced
    assert trainer.change({"learning_rate": 5}) == "live"
    train_epoch(trainer)
    assert rate(trainer) == 5
    assert trainer.programs.traced == traced
    losses = trainer.losses_at(learning_rates())
    assert len(losses) == 100
    assert rate(trainer) == 10


def test_a_rate_that_the_builder_makes_its_own_of_is_left_to_it(begun):
    trainer = begun(READ, learning_rate=0.5, learning_rate_decay=1.0)
    train_epoch(trainer)
    assert rate(trainer) == pytest.approx(0.05)
    train_epoch(trainer)
    assert rate(trainer) == pytest.approx(0.025)
    assert trainer.change({"learning_rate": 0.2}) == "rebuilt"
    train_epoch(trainer)
    assert rate(trainer) == pytest.approx(0.02 / 3)


@pytest.mark.parametrize(("optimizer", "what"), [
    (SCHEDULE, "Adam's learning rate is a ExponentialDecay"),
    (SEVERAL, "the optimizer, Slow, has a learning rate of its own kind"),
])  # fmt: skip
def test_a_rate_that_cannot_be_set_is_refused(begun, optimizer, what):
    trainer = begun(optimizer)
    assert trainer.why_rate_is_fixed == what
    assert trainer.losses_at([0.1]) == []
    with pytest.raises(RequestError) as caught:
        trainer.change({"learning_rate": 0.1})
    expected = (
        "learning_rate: expected a model whose learning rate can be set. Received: one of which"
    )
    assert str(caught.value) == f"{expected} {what}."


def test_what_else_sets_the_rate_is_not_undone(begun):
    trainer = begun(PLAIN, learning_rate=0.3)
    train_epoch(trainer)
    trainer.backend.compiled.model.optimizer.learning_rate = 0.1
    row = train_epoch(trainer)
    assert rate(trainer) == pytest.approx(0.1)
    assert row["learning_rate"] == 0.1


def test_a_rate_that_was_set_is_in_force_again_after_a_checkpoint(begun):
    trainer = begun(PLAIN, learning_rate=0.3)
    train_epoch(trainer)
    trainer.change({"learning_rate": 0.4})
    kept = trainer.checkpoint({})
    expected = train_epoch(trainer)
    again = begun(PLAIN)
    again.resume(kept)
    assert train_epoch(again) == expected
    assert rate(again) == pytest.approx(0.4)
