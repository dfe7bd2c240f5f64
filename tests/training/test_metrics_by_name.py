"""Metrics by name beside a model's own, while it trains by compiled epochs and by fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as sk

from orchestrator.errors import TrialError
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.training.streams import streamed_from

NAMES = ("auc", "macro_f1", "balanced_accuracy", "top_2_accuracy", "log_loss", "accuracy")
HP = {"learning_rate": 0.05, "units": 4, "batch_size": 32}

COMPILED = """
    def build(hp, input_shape, num_classes):
        model = {kind}(inputs := keras.Input(input_shape), layers.Dense(num_classes)(inputs))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("adam", loss, metrics={metrics}, run_eagerly={eagerly})
        return model

    class OwnTest(keras.Model):
        def test_step(self, data):
            x, y = data
            return {{"loss": self.compute_loss(x, y, self(x, training=False))}}
"""


def expected(trainer):
    """What scikit-learn says of the model's predictions."""
    rows = trainer.task.dataset.validation
    p = trainer.backend.compiled.model.predict(rows.x, verbose=0)
    p = np.exp(p) / np.exp(p).sum(1, keepdims=True) if p.min() < 0 or p.max() > 1 else p
    y = rows.y
    return {
        "val_auc": sk.roc_auc_score(y, p, multi_class="ovr"),
        "val_macro_f1": sk.f1_score(y, p.argmax(1), average="macro"),
        "val_balanced_accuracy": sk.balanced_accuracy_score(y, p.argmax(1)),
        "val_top_2_accuracy": sk.top_k_accuracy_score(y, p, k=2),
        "val_log_loss": sk.log_loss(y, p),
    }


def check(trainer, metrics):
    found = {name: metrics[name] for name in expected(trainer)}
    assert found == pytest.approx(expected(trainer), rel=1e-5)


@pytest.mark.parametrize("smoothing", [pytest.param(0.0, marks=pytest.mark.cluster), 0.1])
def test_each_epoch_has_them_as_scikit_learn_would(mlp, smoothing):
    trainer = Trainer(replace(mlp, metrics=NAMES))
    for seed in (1, 2):
        trainer.begin({**HP, "label_smoothing": smoothing}, seed)
        for _ in range(2):
            metrics = train_epoch(trainer)
            check(trainer, metrics)
    assert not {*NAMES} & {*metrics} - {"accuracy"}
    assert {"auc", "macro_f1"} < {*trainer.evaluate("test")}


def test_what_the_model_reports_itself_stays_as_it_was(mlp, train):
    plain, more = Trainer(mlp), Trainer(replace(mlp, metrics=NAMES))
    for before, after in zip(train(plain, HP), train(more, HP), strict=True):
        assert before == {name: after[name] for name in before}


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_model_that_its_builder_compiled_has_them_too(net, eagerly):
    source = COMPILED.format(kind="keras.Model", metrics="[]", eagerly=eagerly)
    trainer = Trainer(net(source, metrics=NAMES))
    trainer.begin({}, 1)
    check(trainer, train_epoch(trainer))
    assert trainer.backend.path == ("fit" if eagerly else "compiled")


def test_a_stream_has_them_too(mlp):
    task = replace(mlp, metrics=NAMES)
    trainer = Trainer(replace(task, dataset=streamed_from(mlp.dataset)))
    trainer.begin(HP, 1)
    metrics = train_epoch(trainer)
    by_rows = Trainer(task)
    by_rows.begin(HP, 1)
    by_rows.restore(trainer.checkpoint({}))
    check(by_rows, metrics)


def test_a_model_with_a_test_step_of_its_own_is_refused_in_a_sentence(net):
    source = COMPILED.format(kind="OwnTest", metrics="[]", eagerly=False)
    trainer = Trainer(net(source, metrics=("auc",)))
    trainer.begin({}, 1)
    with pytest.raises(TrialError, match="expected a model whose test_step calls compute_metrics"):
        train_epoch(trainer)


def test_one_name_does_not_stand_for_two_metrics(net):
    source = COMPILED.format(
        kind="keras.Model",
        metrics="[keras.metrics.SparseCategoricalAccuracy(name='mcc')]",
        eagerly=False,
    )
    trainer = Trainer(net(source, metrics=("mcc",)))
    trainer.begin({}, 1)
    with pytest.raises(TrialError, match="does not report itself"):
        train_epoch(trainer)
