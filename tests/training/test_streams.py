"""Streams train by Keras's own fit."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.data import StreamedDataset, StreamedSplit
from orchestrator.training.trainer import Trainer

HP = {"learning_rate": 0.1, "batch_size": 32}


class Batches:
    """A stream as the data room gives one, over rows that are here already."""

    def __init__(self, split):
        self.split = split

    def __call__(self, batch_size, shuffle_seed):
        rows = np.arange(self.split.rows)
        if shuffle_seed is not None:
            rows = np.random.default_rng(shuffle_seed).permutation(rows)
        for start in range(0, len(rows), batch_size):
            at = rows[start : start + batch_size]
            yield self.split.x[at], self.split.y[at]


@pytest.fixture
def streamed(data):
    parts = {
        part: StreamedSplit(getattr(data, part).rows, Batches(getattr(data, part)))
        for part in ("train", "validation", "test")
    }
    nothing = {"fingerprint": "", "source": "", "reference": None, "options": None, "seed": 0}
    return StreamedDataset(
        **parts, classes=data.classes, scaling={}, input_shape=data.input_shape, **nothing
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
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
    assert trainer.learner.path == "fit"
    assert trainer.path_reason == "the data are streamed"
    assert curve[-1]["val_accuracy"] > 0.6
    trainer.learner.recalibrate()
    assert train(trainer, hp, epochs=3) == curve
