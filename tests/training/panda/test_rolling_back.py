"""A rollback is complete: going on unchanged repeats what was, to the last bit."""

from __future__ import annotations

import pytest

from orchestrator.records.lineage import stretch_starts
from orchestrator.trials import load_checkpoint

GLOBAL_NOISE = """
class Noise(layers.Layer):
    def call(self, x, training=False):
        return x + 0.5 * keras.random.normal((8, 8, 1)) if training else x

def build(hp, input_shape, num_classes):
    return keras.Sequential([
        keras.Input(input_shape), Noise(), layers.Flatten(),
        layers.Dense(num_classes, activation="softmax"),
    ])
"""


def test_days_lived_again_unchanged_are_the_same_days(panda, same):
    life = panda()
    life.to_day(7)
    before, end = life.metrics(), life.state()
    asked = life.ask("rollback", to_day=5)
    life.to_day(7)
    assert life.metrics() == before
    same(life.state(), end)
    applied = life.answer(asked)
    assert (applied["to_day"], applied["to_epoch"], applied["stretch"]) == (5, 10, 1)
    rows = life.records.of(life.trial).epochs
    assert [row.get("stretch") for row in rows] == [0] * 10 + [1] * 4
    assert len(life.records.of(life.trial).abandoned_epochs) == 4


def test_what_was_set_meanwhile_is_taken_back_and_not_applied_again(panda, same):
    life = panda(sitter="advise")
    life.to_day(7)
    before, end = life.metrics(), life.state()
    life.ask("rollback", to_day=5)
    asked = life.set(learning_rate=0.3, momentum=0.5, dropout=0.0, batch_size=100)
    life.to_day(6)
    assert life.hyperparameters["dropout"] == 0.0
    life.ask("rollback", to_day=5)
    life.to_day(7)
    assert life.hyperparameters["learning_rate"] == 0.05
    assert life.metrics() == before
    same(life.state(), end)
    assert life.answer(asked)["day"] == 5
    starts = stretch_starts(life.records.epochs, life.records.journal)
    assert starts == {1: 11, 2: 11}


def test_the_sitters_memory_returns_too(panda):
    life = panda(sitter="advise")
    life.to_day(3)
    then = life.session.state.monitor
    life.to_day(5)
    assert life.session.state.monitor != then
    life.ask("rollback", to_day=3)
    life.ask("pause")
    life.advance()
    assert life.session.state.monitor == then


def test_day_0_is_the_untrained_model(panda, same):
    life = panda()
    life.to_day(2)
    first = life.metrics()
    life.ask("rollback", to_day=0)
    life.to_day(2)
    assert life.metrics() == first
    assert life.records.of(life.trial).epochs[0]["stretch"] == 1


def test_a_rollback_to_an_epoch_goes_to_the_day_that_ends_there(panda):
    life = panda()
    life.to_day(3)
    good, bad = life.ask("rollback", to_epoch=4), life.ask("rollback", to_epoch=3)
    life.ask("pause")
    life.advance()
    assert life.answer(good)["to_day"] == 2
    assert "epoch 3" in life.answer(bad)["reason"]
    assert life.trainer.epoch == 4


def test_a_day_that_is_not_kept_or_was_abandoned_is_refused_and_training_goes_on(panda):
    life = panda()
    life.to_day(4)
    beyond = life.ask("rollback", to_day=8)
    life.ask("rollback", to_day=2)
    life.advance()
    abandoned = life.ask("rollback", to_day=4)
    by_epoch = life.ask("rollback", to_epoch=8)
    life.advance()
    for asked in (beyond, abandoned, by_epoch):
        assert "expected" in life.answer(asked)["reason"]
    assert [row["epoch"] for row in life.records.of(life.trial).epochs] == [1, 2, 3, 4, 5, 6]


def test_the_best_is_that_of_the_living_epochs(panda):
    life = panda(start={"learning_rate": 0.002}, days=5)
    life.to_day(3)
    at_3 = life.records.of(life.trial).best
    life.set(learning_rate=0.1)
    life.to_day(5 - 1)
    assert life.records.of(life.trial).best.value > at_3.value
    life.ask("rollback", to_day=3)
    life.set(learning_rate=0.0)
    life.to_end()
    best = life.records.of(life.trial).best
    about = load_checkpoint(life.recorder.verdict().checkpoint).about
    assert (about["epoch"], about["metrics"]["val_accuracy"]) == (best.epoch, best.value)
    abandoned = [
        row["metrics"]["val_accuracy"] for row in life.records.of(life.trial).abandoned_epochs
    ]
    assert max(abandoned) > best.value


def test_a_model_that_draws_from_keras_own_generator_repeats_itself(panda_of, same):
    life = panda_of(GLOBAL_NOISE)
    life.to_day(4)
    before, end = life.metrics(), life.state()
    life.ask("rollback", to_day=2)
    life.to_day(4)
    assert life.metrics() == before
    same(life.state(), end)


@pytest.mark.parametrize("wrong", [{"to_day": "x"}, {"to_day": None}, {}, {"to_epoch": [1]}])
def test_a_rollback_to_nowhere_is_refused(panda, wrong):
    life = panda()
    life.to_day(1)
    asked = life.ask("rollback", **wrong)
    life.advance()
    assert life.answer(asked)["kind"] == "refused"
    assert life.trainer.epoch == 3


@pytest.mark.parametrize("answered", [True, False])
def test_the_schedule_sets_again_after_a_rollback_what_nobody_has_set_since(panda, answered):
    life = panda(schedule=[{"epoch": 5, "set": {"learning_rate": 0.01, "momentum": 0.5}}])
    life.to_day(4)
    assert (life.hyperparameters["learning_rate"], life.hyperparameters["momentum"]) == (0.01, 0.5)
    life.ask("rollback", to_day=2)
    if answered:
        life.set(learning_rate=0.2)
    life.to_day(4)
    expected = 0.2 if answered else 0.01
    assert (life.hyperparameters["learning_rate"], life.hyperparameters["momentum"]) == (
        expected,
        0.5,
    )
    refused = [entry["reason"] for entry in life.records.journal if entry["kind"] == "refused"]
    said = "learning_rate 0.01 of epoch 5: it was set otherwise since the rollback"
    assert refused == ([said] if answered else [])
