"""Optimizers that a step uses beside the compiled one are part of a trial's state, wherever they are kept."""

from __future__ import annotations

import pytest

from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import in_depth
from tests.training.conftest import curve_of, net_in

HP = {"batch_size": 32}
TWO = """
    import tensorflow as tf

    class Rules:
        def __init__(self, rule):
            self.last = rule

    class Two(keras.Model):
        def train_step(self, data):
            with tf.GradientTape(persistent=True) as tape:
                loss = self.compute_loss(data[0], data[1], self(data[0], training=True))
            first, last = self.layers[1].trainable_variables, self.layers[2].trainable_variables
            self.optimizer.apply(tape.gradient(loss, first), first)
            RULE.apply(tape.gradient(loss, last), last)
            return {"loss": loss}

    def build(hp, input_shape, num_classes):
        x = keras.Input(input_shape)
        y = layers.Dense(num_classes, activation="softmax")(layers.Dense(4, activation="relu")(x))
        model = Two(x, y)
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        rule = keras.optimizers.Adam(hp.get("rate", 0.05))
        KEPT
        return model
"""
PLACES = {
    "an attribute": ("model.rule = rule", "self.rule"),
    "a dictionary": ('model.rules = {"last": [rule]}', 'self.rules["last"][0]'),
    "a layer": ("model.layers[2].rule = rule", "self.layers[2].rule"),
    "an object": ("model.rules = Rules(rule)", "self.rules.last"),
}


@pytest.fixture(scope="module", params=in_depth(PLACES, "an object"))
def two(request, data, tmp_path_factory):
    kept, used = PLACES[request.param]
    source = TWO.replace("KEPT", kept).replace("RULE", used)
    return net_in(tmp_path_factory.mktemp("two"), data, source)


@pytest.fixture(scope="module")
def worker(two):
    """A trainer and the curve of its first trial."""
    trainer = Trainer(two)
    return trainer, curve_of(trainer, HP, epochs=3)


def test_a_warm_trial_and_one_that_goes_on_have_them_as_they_were(two, worker, train):
    trainer, curve = worker
    traced = trainer.programs.traced
    train(trainer, HP, seed=2, epochs=1)
    for other in trainer.backend.compiled.others:
        other.variables[-1].assign(float("nan") + other.variables[-1])
    assert train(trainer, HP, epochs=3) == curve
    assert trainer.programs.traced == traced
    train(trainer, HP, epochs=1)
    kept = trainer.checkpoint({})
    again = Trainer(two)
    assert again.take_up(kept)
    assert [train_epoch(again) for _ in range(2)] == curve[1:]


def test_one_that_goes_back_before_its_first_step_has_none_behind_it(two, train):
    trainer = Trainer(two)
    trainer.begin(HP, 1)
    born = trainer.checkpoint({})
    curve = [train_epoch(trainer) for _ in range(2)]
    trainer.restore(born)
    assert [train_epoch(trainer) for _ in range(2)] == curve


def test_a_change_that_builds_the_model_anew_keeps_their_slots(worker, train):
    trainer, curve = worker
    train(trainer, HP, epochs=1)
    assert trainer.change({"rate": 0.05}) == "rebuilt"
    assert [train_epoch(trainer)["loss"] for _ in range(2)] == pytest.approx(
        [row["loss"] for row in curve[1:]]
    )
