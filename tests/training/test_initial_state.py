"""A begin on a warm program that builds no model: the same to the bit as one that does, or not done."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.catalog import CallableReference, bundled_names
from orchestrator.data import Split
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import further, in_depth

HP = {"learning_rate": 0.1, "batch_size": 32, "units": 4, "dropout": 0.2}
BUILD = "def build(hp, input_shape, num_classes):\n    x = inputs = keras.Input(input_shape)\n"
END = """
    x = layers.Dense(num_classes, activation="softmax")(layers.Flatten()(x))
    return keras.Model(inputs, x)
"""
IN_ROWS = "    x = layers.Reshape((3, 2))(x)\n"

SPARED = {
    "dense": "    x = layers.Dense(hp['units'])(x)",
    "lstm": IN_ROWS + "    x = layers.LSTM(3, dropout=0.2, recurrent_dropout=0.1)(x)",
    "gru_both_ways": IN_ROWS + "    x = layers.Bidirectional(layers.GRU(3))(x)",
    "simple_rnn_with_state": IN_ROWS + "    x = layers.SimpleRNN(3, return_sequences=True)(x)",
    "embedding": "    x = layers.Embedding(5, 3)(layers.Discretization(bin_boundaries=[-1, 0, 1])(x))",
    "attention": IN_ROWS + "    x = layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x)",
    "convolution": IN_ROWS + "    x = layers.SeparableConv1D(3, 2)(x)",
    "orthogonal": "    x = layers.Dense(4, kernel_initializer='orthogonal')(x)",
    "batch_normalization": "    x = layers.BatchNormalization(momentum=0.7)(layers.Dense(3)(x))",
    "constants": "    x = layers.Dense(6, 'relu', kernel_initializer=keras.initializers.Constant(0.3))(x)",
    "an_array": "    x = layers.Dense(6, kernel_initializer=keras.ops.eye(6))(x)",
    "seeded": "    x = layers.Dense(6, kernel_initializer=keras.initializers.HeNormal(seed=3))(x)",
    "one_initialiser_twice": """
    same = keras.initializers.GlorotUniform()
    x = layers.Dense(6, kernel_initializer=same)(layers.Dense(6, kernel_initializer=same)(x))""",
    "noise": "    x = layers.GaussianNoise(0.1)(layers.AlphaDropout(hp['dropout'])(layers.Dropout(0.3)(x)))",
    "pretrained": """
    dense = layers.Dense(6)
    x = dense(x)
    dense.set_weights([keras.ops.ones((6, 6)), keras.ops.ones(6)])""",
    "own_layer": """
    class Own(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight(shape=(shape[-1], 3), initializer="he_uniform")
            self.b = self.add_weight(shape=(3,), initializer="zeros", trainable=False)
            self.draw = keras.random.SeedGenerator()

        def call(self, x, training=False):
            x = x @ self.w + self.b
            return keras.random.dropout(x, 0.1, seed=self.draw) if training else x
    x = Own()(x)""",
}
NOT_SPARED = {
    "python": "    x = layers.Rescaling(random.random())(x)",
    "numpy": "    x = layers.Rescaling(np.random.rand())(x)",
    "keras": "    x = layers.Dense(6, kernel_initializer=keras.random.normal((6, 6)))(x)",
    "tensorflow": "    x = layers.Dense(6, kernel_initializer=tf.random.normal((6, 6)))(x)",
    "own_seed": "    keras.utils.set_random_seed(7)\n    x = layers.Dense(4)(x)",
    "prints": "    print('building')\n    x = layers.Dense(4)(x)",
    "writes": "    open(os.devnull, 'w').close()\n    x = layers.Dense(4)(x)",
    "environment": "    os.environ['OF_A_TRIAL'] = '1'\n    x = layers.Dense(4)(x)",
    "policy": "    keras.config.set_dtype_policy('mixed_bfloat16')\n    x = layers.Dense(4)(x)",
    "own_initialiser": """
    def own(shape, dtype):
        return np.random.default_rng(random.randint(1, 10**9)).normal(size=shape)
    x = layers.Dense(6, kernel_initializer=own)(x)""",
    "wrapped_initialiser": """
    inner = keras.initializers.HeNormal()
    x = layers.Dense(6, kernel_initializer=lambda shape, dtype: 2 * inner(shape, dtype))(x)""",
    "weights_looked_at": """
    dense = layers.Dense(6)
    x = dense(x)
    kernel, bias = dense.get_weights()
    dense.set_weights([kernel / np.linalg.norm(kernel), bias])""",
}


@pytest.fixture
def begins(net, same, state):
    """`begins(source)`: a trainer after a structure's third trial, which has begun as on the new one beside it."""

    def begin(source, hp=HP, seeds=(1, 2, 3), task=None):
        head = "import os, random\nimport numpy as np\nimport tensorflow as tf\n" + BUILD
        task = task or net(head + source.removeprefix("\n") + END)
        warm, new = Trainer(task), Trainer(task)
        for seed in seeds:
            warm.begin(hp, seed)
        there = (state(warm), random.getstate(), repr(np.random.get_state()))
        new.begin(hp, seeds[-1])
        assert there[1:] == (random.getstate(), repr(np.random.get_state()))
        same(there[0], state(new))
        assert warm.hyperparameters == new.hyperparameters
        return warm, new

    return begin


@pytest.mark.parametrize(
    "name",
    in_depth(
        SPARED, "lstm", "orthogonal", "batch_normalization", "noise", "pretrained", "own_layer"
    ),
)
def test_a_known_structure_begins_without_a_model_as_it_does_with_one(begins, name):
    warm, _ = begins(SPARED[name])
    assert warm.programs.spared == 1


@pytest.mark.parametrize(
    "name",
    in_depth(NOT_SPARED, "prints", "environment", "python", "keras", "policy", "weights_looked_at"),
)
def test_a_builder_that_would_be_missed_is_called_for_each_trial(begins, name):
    warm, _ = begins(NOT_SPARED[name])
    assert warm.programs.spared == 0


PICTURES = (8, 8, 1)


@pytest.mark.parametrize("model", bundled_names("models"))
@pytest.mark.parametrize(
    "more", [{"dropout": 0.3}, further({"batch_norm": False, "optimizer": "adam"})]
)
def test_every_bundled_model_begins_without_being_built(begins, data, model, more):
    def pictures(split):
        x = np.random.default_rng(0).normal(size=(split.rows, *PICTURES)).astype("float32")
        return Split(x, split.y)

    splits = {name: pictures(getattr(data, name)) for name in ("train", "validation", "test")}
    dataset = replace(data, **splits)
    reference = CallableReference("bundled", model, "build", model)
    hp = {"learning_rate": 0.1, "batch_size": 32, "units": 8, "filters": 2, "hidden_layers": 2}
    warm, _ = begins("", hp | more, task=TrainingTask(reference, dataset, epochs=3))
    assert warm.programs.spared == 1


def test_it_trains_to_the_same_curve_and_state(begins, same, state):
    warm, new = begins(SPARED["noise"] + "\n" + SPARED["batch_normalization"], seeds=(1, 2, 3))
    assert [train_epoch(warm) for _ in "12"] == [train_epoch(new) for _ in "12"]
    same(state(warm), state(new))


def test_live_values_may_differ_where_what_the_builder_reads_does_not(net, same, state):
    task = net(BUILD + SPARED["dense"] + END)
    warm, new = Trainer(task), Trainer(task)
    for seed, rate in ((1, 0.1), (2, 0.2), (3, 0.3), (4, 0.4)):
        hp = HP | {"learning_rate": rate}
        warm.begin(hp, seed)
        new.leave()
    assert warm.programs.spared == 2
    new.begin(hp, seed)
    assert train_epoch(warm) == train_epoch(new)


@pytest.mark.parametrize(
    "changed",
    [{"units": 5}, further({"units": 4.0}), further({"units": None}), {"units": True}, {"more": 1}],
)
def test_another_value_that_is_read_or_another_name_is_built(net, changed):
    trainer = Trainer(net(BUILD + "    x = layers.Dense(int(hp['units'] or 4))(x)" + END))
    for seed in (1, 2):
        trainer.begin(HP, seed)
    trainer.begin(HP | changed, 3)
    assert trainer.programs.spared == 0


def test_a_file_that_the_builder_read_is_read_again_where_it_has_changed(
    net, tmp_path, state, same
):
    kernel = tmp_path / "kernel.npy"
    np.save(kernel, np.eye(6))
    task = net(
        f"import numpy as np\n{BUILD}    w = np.load({str(kernel)!r})\n"
        f"    x = layers.Dense(6, kernel_initializer=w)(x){END}"
    )
    warm = Trainer(task)
    for seed in (1, 2, 3):
        warm.begin(HP, seed)
    assert warm.programs.spared == 1
    np.save(kernel, np.ones((6, 6)))
    os.utime(kernel, ns=(1, 1))
    warm.begin(HP, 3)
    new = Trainer(task)
    new.begin(HP, 3)
    same(state(warm), state(new))
    assert warm.programs.spared == 1


def test_the_same_seed_again_proves_nothing(begins):
    warm, _ = begins(SPARED["dense"], seeds=(1, 1, 1, 1))
    assert warm.programs.spared == 0


COMPILED = """
    x = layers.Dense(num_classes, activation="softmax")(x)
    model = keras.Model(inputs, x)
    model.compile(keras.optimizers.{}, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.mark.parametrize(
    "optimizer",
    in_depth(["Nadam(0.01)", "SGD(0.3, momentum=0.9)", "Adam(use_ema=True)"], "Nadam(0.01)"),
)
def test_a_model_compiled_by_its_builder_has_its_optimizer_fresh(net, same, state, optimizer):
    task = net(BUILD + COMPILED.format(optimizer))
    warm, new = Trainer(task), Trainer(task)
    for seed in (1, 2, 3):
        warm.begin({"batch_size": 32}, seed)
        if seed < 3:
            train_epoch(warm)
    new.begin({"batch_size": 32}, 3)
    assert warm.programs.spared == 1
    same(state(warm), state(new))
    assert train_epoch(warm) == train_epoch(new)


def test_classes_that_a_build_registers_are_registered_for_a_trial_without_one(net):
    import keras

    source = (
        "@keras.saving.register_keras_serializable('mine')\nclass Own(layers.Dense):\n    pass\n"
    )
    trainer = Trainer(net(source + BUILD + "    x = Own(4)(x)" + END))
    for seed in (1, 2, 3):
        trainer.begin(HP, seed)
        assert "mine>Own" in keras.saving.get_custom_objects()
    assert trainer.programs.spared == 1


def test_callbacks_have_a_model_of_their_own(net):
    source = (
        BUILD
        + SPARED["dense"]
        + END
        + "\ndef callbacks(hp):\n    return [keras.callbacks.TerminateOnNaN()]\n"
    )
    task = net(source)
    task = replace(task, callbacks=replace(task.model, function="callbacks"))
    trainer = Trainer(task)
    for seed in (1, 2, 3):
        trainer.begin(HP, seed)
    assert trainer.programs.spared == 0
