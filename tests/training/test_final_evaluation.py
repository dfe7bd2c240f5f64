"""The winner's examination, and the file that plain Keras loads."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
import yaml

from orchestrator.data import StreamedSplit
from orchestrator.training.final_evaluation import judge
from orchestrator.training.saved_model import load_model
from orchestrator.training.trainer import Trainer
from orchestrator.trials import save_checkpoint
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import in_depth
from tests.training.streams import streamed_from

HP = {"units": 8, "hidden_layers": 2, "batch_size": 32, "learning_rate": 0.05, "dropout": 0.2}
PREDICT = """
import sys
import numpy as np, keras
model = keras.saving.load_model(sys.argv[1], safe_mode=True)
assert not any(name.partition(".")[0] == "orchestrator" for name in sys.modules)
rows = np.load(sys.argv[2])
scores = model.evaluate(rows["x"], rows["y"], verbose=0, return_dict=True)
model.fit(rows["x"], rows["y"], epochs=1, verbose=0)
np.savez(sys.argv[3], y_hat=model.predict(rows["x"], verbose=0), **scores)
"""


@pytest.fixture
def judged(train, tmp_path):
    """`judged(trainer, hp)`: trains, checkpoints after two epochs, goes on to others, examines."""

    def examine(trainer, hp):
        train(trainer, hp, epochs=2)
        about = {"trial": "00004", "chosen": hp}
        save_checkpoint(tmp_path / "c.npz", trainer.checkpoint(about))
        train_epoch(trainer)
        best = tmp_path / "best"
        best.mkdir()
        return judge(trainer, tmp_path / "c.npz", best)

    return examine


@pytest.mark.cluster
def test_the_saved_model_loads_in_plain_keras_and_predicts_the_same(mlp, judged, data, tmp_path):
    verdict = judged(Trainer(mlp), HP | {"label_smoothing": 0.1})
    np.savez(tmp_path / "rows.npz", x=data.test.x, y=np.eye(3)[data.test.y])
    command = [sys.executable, "-W", "error::UserWarning", "-c", PREDICT]
    files = [str(tmp_path / name) for name in ("best/model.keras", "rows.npz", "out.npz")]
    subprocess.run([*command, *files], check=True, cwd=tmp_path, timeout=120)
    there = np.load(tmp_path / "out.npz")
    assert float(there["accuracy"]) == pytest.approx(verdict["test"]["accuracy"])
    assert float(there["loss"]) == pytest.approx(verdict["test"]["loss"], rel=1e-4)


def test_both_validation_scores_and_the_test_score_of_the_checkpoint_are_kept(
    worker, judged, train, tmp_path, data
):
    trainer = worker
    [_, second] = train(trainer, HP, epochs=2)
    verdict = judged(trainer, HP)
    before = {
        f"val_{name}": value for name, value in verdict["validation_before_recalibration"].items()
    }
    assert before.items() <= second.items()
    assert verdict["validation_after_recalibration"] != verdict["validation_before_recalibration"]
    assert verdict["test_after_recalibration"] != verdict["test_before_recalibration"]
    assert (verdict["trial"], verdict["epoch"]) == ("00004", 2)
    assert json.loads((tmp_path / "best/metrics.json").read_text()) == verdict
    assert yaml.safe_load((tmp_path / "best/hyperparameters.yaml").read_text()) == HP
    y_hat = trainer.backend.compiled.model.predict(data.test.x, verbose=0).argmax(axis=1)
    assert verdict["test"]["accuracy"] == pytest.approx((y_hat == data.test.y).mean())


def test_the_saved_batch_normalization_has_a_plain_momentum(worker, judged, tmp_path):
    import keras

    judged(worker, HP)
    model = keras.saving.load_model(tmp_path / "best/model.keras", safe_mode=True)
    assert model.get_layer("z1_norm").momentum == pytest.approx(0.5)  # 5 steps an epoch


@pytest.mark.parametrize("optimizer", in_depth(["rmsprop", "adamw"], "rmsprop"))
def test_a_saved_model_of_any_optimizer_loads_and_predicts_the_same(
    mlp, judged, tmp_path, data, optimizer
):
    trainer = Trainer(mlp)
    judged(trainer, HP | {"optimizer": optimizer, "batch_norm": optimizer != "rmsprop"})
    threads = tf.config.threading.get_inter_op_parallelism_threads()
    model = load_model(tmp_path / "best/model.keras")  # where TensorFlow has been at work already
    assert tf.config.threading.get_inter_op_parallelism_threads() == threads
    y_hat = trainer.backend.compiled.model.predict(data.test.x, verbose=0)
    np.testing.assert_allclose(model.predict(data.test.x, verbose=0), y_hat, rtol=1e-4, atol=1e-6)
    assert type(model.optimizer).__name__.lower() == optimizer


def test_a_model_that_cannot_be_saved_is_examined_all_the_same(net, judged, tmp_path):
    task = net("""
        class Net(keras.Model):
            def __init__(self, head):
                super().__init__()
                self.head = head

            def call(self, x):
                return self.head(x)

            def get_config(self):
                raise RuntimeError("not to be written down")

        def build(hp, input_shape, num_classes):
            return Net(layers.Dense(num_classes, activation="softmax"))
    """)
    verdict = judged(Trainer(task), {"learning_rate": 0.1})
    assert verdict["test"]["accuracy"] > 0.3
    assert "not to be written down" in verdict["not_saved"]
    assert json.loads((tmp_path / "best/metrics.json").read_text()) == verdict
    assert sorted(file.name for file in (tmp_path / "best").iterdir()) == [
        "details.json",
        "hyperparameters.yaml",
        "metrics.json",
        "model.json",
        "model.weights.h5",
    ]


def test_streams_without_a_test_split_have_no_test_score(mlp, judged, data):
    nothing = StreamedSplit(0, lambda size, seed: iter(()))
    streamed = replace(streamed_from(data), test=nothing)
    task = type(mlp)(mlp.model, streamed, 2)
    verdict = judged(Trainer(task), HP)
    assert verdict["test"] is None
    assert verdict["validation"]["accuracy"] > 0.3


@pytest.mark.parametrize(
    "wrapped", in_depth(["{}", "keras.optimizers.LossScaleOptimizer({})"], "{}")
)
def test_averages_of_weights_are_put_in_place_for_the_examination_as_at_the_end_of_fit(
    net, judged, data, tmp_path, wrapped
):
    import keras

    optimizer = wrapped.format("keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9)")
    task = net(f"""
        def build(hp, input_shape, num_classes):
            head = layers.Dense(num_classes, activation="softmax")
            model = keras.Sequential([keras.Input(input_shape), head])
            model.compile({optimizer}, "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model
    """)
    verdict = judged(Trainer(task), {"batch_size": 32})

    class Rows(keras.utils.PyDataset):
        def __len__(self):
            return 10

        def __getitem__(self, at):
            rows = np.random.default_rng([1, at // 5]).permutation(150)[at % 5 * 32 :][:32]
            return data.train.x[rows], data.train.y[rows]

    keras.utils.set_random_seed(1)
    model = task.model.load()({}, (6,), 3)
    model.fit(Rows(), shuffle=False, verbose=0)
    plain = model.evaluate(data.test.x, data.test.y, verbose=0, return_dict=True)
    assert verdict["test"] == pytest.approx(plain, rel=1e-4)
    saved = load_model(tmp_path / "best/model.keras")
    np.testing.assert_allclose(saved.get_weights()[0], model.get_weights()[0], rtol=1e-3, atol=1e-5)
