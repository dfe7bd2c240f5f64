"""A builder sees what its trial was given, and nothing that training would do by itself."""

from __future__ import annotations

import pytest

from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch

NET = """
    def build(hp, input_shape, num_classes):
        assert "optimizer" not in hp and "batch_size" not in hp, dict(hp)
        assert hp.get("units") is None
        model = keras.Sequential([
            keras.Input(input_shape),
            layers.Dense(4, kernel_regularizer=keras.regularizers.L2(hp.get("weight_decay", 1e-5))),
            layers.BatchNormalization(momentum=hp.get("batch_norm_momentum", 0.8)),
            layers.Dense(num_classes, activation="softmax"),
        ])
        adam = keras.optimizers.Adam(hp.get("learning_rate", 1e-4), epsilon=hp.get("epsilon", 1e-3))
        model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""


@pytest.mark.parametrize("again", [False, True])
def test_a_name_that_the_trial_has_not_gives_the_builders_own_value(net, again):
    trainer = Trainer(net(NET))
    trainer.begin({"momentum": 0.5}, 1)
    if again:
        trainer.resume(trainer.checkpoint({}))
    train_epoch(trainer)
    model = trainer.backend.compiled.model
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)
    assert model.optimizer.epsilon == 1e-3
    assert float(model.layers[0].kernel_regularizer.l2) == pytest.approx(1e-5)
    assert float(model.layers[1].momentum) == pytest.approx(0.8)


def test_a_name_that_the_trial_has_gives_its_value(net):
    trainer = Trainer(net(NET))
    trainer.begin({"weight_decay": 0.5, "batch_norm_momentum": 0.7, "learning_rate": 0.3}, 1)
    model = trainer.backend.compiled.model
    assert float(model.optimizer.learning_rate) == pytest.approx(0.3)
    assert float(model.layers[0].kernel_regularizer.l2) == 0.5
    assert float(model.layers[1].momentum) == pytest.approx(0.7)


def test_all_that_a_builder_goes_through_was_given(net):
    trainer = Trainer(
        net("""
        def build(hp, input_shape, num_classes):
            assert dict(hp) == {"units": 3, "batch_size": 32}, dict(hp)
            head = layers.Dense(num_classes, activation="softmax")
            return keras.Sequential([keras.Input(input_shape), head])
    """)
    )
    trainer.begin({"units": 3, "batch_size": 32}, 1)
    assert trainer.hyperparameters["learning_rate"] == 0.01
