"""BatchNormalization over pictures, computed in another way, is Keras's to the last bit."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from orchestrator.catalog import CallableReference
from orchestrator.data import Dataset, Split
from orchestrator.training import channel_norm, compiled_backend, fit_backend
from orchestrator.training.keras_backend import IS_TENSORFLOW
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from tests.depth import in_depth
from tests.training.conftest import curve_of, net_in, state_of

pytestmark = pytest.mark.skipif(not IS_TENSORFLOW, reason="of TensorFlow's operations")

HP = {"learning_rate": 0.1, "batch_size": 16, "filters": 4, "hidden_layers": 2}
HEAD = "layers.Dense(num_classes, activation='softmax')(layers.GlobalAveragePooling2D()(a))"
AXIS = "the last axis by its number, as Keras's applications give it"
BUILDERS = {
    "a layer called twice, and its input used besides": """
        norm = layers.BatchNormalization()
        one = layers.Conv2D(4, 3, padding="same")(inputs)
        two = layers.Conv2D(4, 3, padding="same")(layers.Activation("tanh")(norm(one)))
        a = layers.Add()([norm(two), two, one])
    """,
    "neither scale nor offset, trained and frozen": """
        a = layers.Conv2D(4, 3)(inputs)
        a = layers.BatchNormalization(scale=False)(a)
        a = layers.BatchNormalization(center=False)(layers.Activation("swish")(a))
        frozen = layers.BatchNormalization()
        frozen.trainable = False
        a = frozen(layers.Conv2D(5, 3)(a))
    """,
    "a sequence": """
        a = layers.Conv1D(4, 3)(layers.Reshape((64, 2))(inputs))
        a = layers.BatchNormalization()(a)
        a = layers.Reshape((1, 62, 4))(layers.Activation("relu")(a))
    """,
    "three dimensions": """
        a = layers.Conv3D(4, 3, padding="same")(layers.Reshape((8, 8, 2, 1))(inputs))
        a = layers.BatchNormalization()(a)
        a = layers.Reshape((8, 8, 8))(layers.Activation("relu")(a))
    """,
    AXIS: """
        a = layers.Conv2D(4, 3)(inputs)
        a = layers.Activation("relu")(layers.BatchNormalization(axis=3)(a))
        a = layers.BatchNormalization(axis=3)(layers.Conv2D(4, 3)(a))
    """,
    "channels first, half precision, wide rows": """
        a = layers.BatchNormalization(axis=1)(inputs)
        a = layers.Conv2D(3, 3, dtype="mixed_float16")(a)
        a = layers.BatchNormalization(dtype="mixed_float16")(a)
        a = layers.Conv2D(1100, 1, dtype="float32")(a)
        a = layers.Activation("relu")(layers.BatchNormalization()(a))
    """,
}
BY_FIT = """
class Own(keras.Model):
    def make_train_function(self, force=False):
        return super().make_train_function(force)


def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    a = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
    a = layers.Add()([layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(a)), a])
    a = layers.Dense(num_classes, activation="softmax")(layers.GlobalAveragePooling2D()(a))
    return Own(inputs, a)
"""
PENALTY = """
class Smooth(keras.Model):
    def train_step(self, data):
        import tensorflow as tf
        x, y = data
        with tf.GradientTape() as tape:
            with tf.GradientTape() as inner:
                inner.watch(x)
                loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
            slope = inner.gradient(loss, x)
            total = loss + tf.reduce_sum(slope * slope)
        found = tape.gradient(total, self.trainable_variables)
        self.optimizer.apply_gradients(zip(found, self.trainable_variables))
        return {"loss": total}


def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    a = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs))
    a = layers.Dense(num_classes, activation="softmax")(layers.Flatten()(layers.Activation("tanh")(a)))
    return Smooth(inputs, a)
"""


@pytest.fixture(scope="module")
def pictures() -> Dataset:
    rng = np.random.default_rng(0)
    parts = [
        Split(
            rng.normal(size=(rows, 8, 8, 2)).astype("float32"),
            (np.arange(rows) % 3).astype("int32"),
        )
        for rows in (40, 20, 20)
    ]  # the last batch is a partial one
    return Dataset(*parts, ("a", "b", "c"), {"how": "none"}, "0" * 64, "made here")


def trained(task: TrainingTask, monkeypatch: Any, as_keras: bool) -> tuple[Any, Any, int]:
    """Curve and state of a trial, and how often numbers were spread over a picture while it was traced."""
    spread: list[None] = []
    with monkeypatch.context() as changed:
        if as_keras:
            for backend in (compiled_backend, fit_backend):
                changed.setattr(backend, "fast_channels", lambda *_: contextlib.nullcontext())
        plain = channel_norm._spread
        changed.setattr(channel_norm, "_spread", lambda *a: (spread.append(None), plain(*a))[1])
        trainer = Trainer(task)
        curve = curve_of(trainer, HP, epochs=3)
        trainer.backend.recalibrate()
        return curve, state_of(trainer), len(spread)


@pytest.mark.parametrize(
    "name", in_depth(["cnn", "resnet", *BUILDERS], "cnn", "resnet", next(iter(BUILDERS)), AXIS)
)
def test_a_trial_is_the_same_to_the_last_bit(name, pictures, tmp_path, monkeypatch, same):
    monkeypatch.setenv("ORCHESTRATOR_PROGRAMS", "")
    if name in BUILDERS:
        body = "\n".join(line[4:] for line in BUILDERS[name].splitlines())
        source = (
            f"def build(hp, input_shape, num_classes):\n    inputs = keras.Input(input_shape){body}"
        )
        task = net_in(
            tmp_path, pictures, f"{source.rstrip()}\n    return keras.Model(inputs, {HEAD})\n"
        )
    else:
        task = TrainingTask(CallableReference("bundled", name, "build", name), pictures, epochs=3)
    curve, state, spread = trained(task, monkeypatch, as_keras=False)
    expected, as_kerass, never = trained(task, monkeypatch, as_keras=True)
    assert spread > 0 == never, "it was meant to be computed in another way"
    assert curve == expected
    same(state, as_kerass)


def test_what_fit_trains_is_the_same_to_the_last_bit(pictures, tmp_path, monkeypatch, same):
    task = net_in(tmp_path, pictures, BY_FIT)
    curve, state, spread = trained(task, monkeypatch, as_keras=False)
    expected, as_kerass, never = trained(task, monkeypatch, as_keras=True)
    assert spread > 0 == never
    assert curve == expected
    same(state, as_kerass)


@pytest.mark.parametrize(("gpus", "is_compiled"), [(True, False), (False, True)])
def test_a_gpu_and_xla_have_their_own_ways(gpus, is_compiled, monkeypatch):
    monkeypatch.setattr(channel_norm, "is_tensorflow_on_a_cpu", lambda: not gpus)
    nn = channel_norm.norm_functions()
    before = nn.moments, nn.batch_normalization
    with channel_norm.fast_channels(is_compiled):
        assert (nn.moments, nn.batch_normalization) == before


@pytest.mark.parametrize("channels", [1, 3])
def test_sequences_of_any_length_have_the_same_gradients(channels):
    x = np.random.default_rng(0).normal(size=(4, 7, channels)).astype("float32")
    norm = keras.layers.BatchNormalization()
    norm.build(x.shape)

    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(norm(tf.identity(x), training=True)) * x)
        return tape.gradient(loss, [x, norm.gamma.value, norm.beta.value])

    any_length = [tf.TensorSpec((None, None, channels))]
    as_kerass = tf.function(gradients, any_length, autograph=False)(x)
    with channel_norm.fast_channels():
        found = tf.function(lambda x: gradients(x), any_length, autograph=False)(x)
    for one, other in zip(found, as_kerass, strict=True):
        np.testing.assert_array_equal(one, other)


def test_second_derivatives_are_keras_s(pictures, tmp_path, monkeypatch, same):
    task = net_in(tmp_path, pictures, PENALTY)
    curve, state, _ = trained(task, monkeypatch, as_keras=False)
    expected, as_kerass, _ = trained(task, monkeypatch, as_keras=True)
    assert [row["loss"] for row in curve] == pytest.approx(
        [row["loss"] for row in expected], rel=1e-5
    )
    same(state, as_kerass, rtol=1e-4, atol=1e-5)
