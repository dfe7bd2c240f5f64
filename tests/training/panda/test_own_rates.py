"""A panda of a model that its builder compiled: its α is changed where that can be done, and else left and told."""

from __future__ import annotations

import pytest

from orchestrator.errors import TrialError

NET = """
    def build(hp, input_shape, num_classes):
        model = keras.Sequential([
            keras.Input(input_shape), layers.Flatten(), layers.Dense(num_classes, activation="softmax")
        ])
        model.compile({optimizer}, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
PLAIN = "keras.optimizers.SGD(0.01)"
SCHEDULE = "keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(1e4, 9, 0.9))"
START = {"batch_size": 256}


def test_a_sitter_lowers_the_rate_of_the_builders_own_optimizer(panda_of):
    life = panda_of(NET.format(optimizer=PLAIN), start=START, sitter="act", days=6)
    life.to_day(1)
    life.ask("set", changes={"learning_rate": 1e9})
    life.advance(3)
    changes = [e["changes"]["learning_rate"] for e in life.entries("applied", action="set")]
    assert changes[0] == [0.01, 1e9]
    assert changes[1][1] < 1e9
    assert life.trainer.backend.compiled.model.optimizer.learning_rate < 1e9


def test_a_sitter_does_not_act_on_a_schedule_and_says_so(panda_of):
    life = panda_of(
        NET.format(optimizer=SCHEDULE), start=START, sitter="act", days=3, learning_rate_test=True
    ).to_end()
    [said] = life.entries("advice", rule="learning_rate")
    expected = "the sitter only advises, and no learning rate is tried: SGD's learning rate is a"
    assert said["suggests"] == f"{expected} ExponentialDecay"
    assert not life.entries("applied")
    life.ask("set", changes={"learning_rate": 0.1})


def test_a_start_with_a_rate_that_cannot_be_set_is_refused(panda_of):
    life = panda_of(NET.format(optimizer=SCHEDULE), start=START | {"learning_rate": 5})
    with pytest.raises(TrialError, match="expected a model whose learning rate can be set"):
        life.to_day(1)
