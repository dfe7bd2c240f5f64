"""Streams train by Keras's own fit."""

from __future__ import annotations

import pytest

from orchestrator.training.trainer import Trainer
from tests.depth import in_depth
from tests.training.streams import streamed_from

HP = {"learning_rate": 0.1, "batch_size": 32}


@pytest.fixture
def streamed(data):
    return streamed_from(data)


@pytest.mark.parametrize("smoothing", in_depth([0.0, 0.1], 0.1))
def test_streamed_data_train_by_fit_and_say_so(net, train, streamed, smoothing):
    source = """
def build(hp, input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape),
        layers.BatchNormalization(momentum=hp["batch_norm_momentum"]),
        layers.Dense(num_classes, activation="softmax")])
"""
    hp = HP | {"label_smoothing": smoothing}
    trainer = Trainer(net(source, dataset=streamed))
    curve = train(trainer, hp, epochs=3)
    assert trainer.backend.path == "fit"
    assert trainer.slot.reason == "the data are streamed"
    assert curve[-1]["val_accuracy"] > 0.6
    trainer.backend.recalibrate()
    assert train(trainer, hp, epochs=3) == curve
