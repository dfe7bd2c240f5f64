"""A worker's memory stops growing once its programs are cached."""

from __future__ import annotations

import gc

import psutil
from tensorflow.python.framework.func_graph import FuncGraph

from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.training.conftest import net_in

TRIALS = 110
ROOM_MB = 30
STRUCTURES = [{"units": units, "hidden_layers": depth} for units in (2, 3) for depth in (1, 2)]


def graphs() -> int:
    """How many of TensorFlow's graphs are alive: each holds a megabyte or more."""
    gc.collect()
    return sum(isinstance(found, FuncGraph) for found in gc.get_objects())


def memory_mb() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def test_memory_stops_growing_after_the_programs_are_cached(mlp):
    worker = Trainer(mlp)
    for index in range(TRIALS):
        rate = 0.1 / (1 + index)
        worker.begin(
            {**STRUCTURES[index % len(STRUCTURES)], "learning_rate": rate, "batch_size": 75}, index
        )
        train_epoch(worker)
        worker.checkpoint({})
        if index == 2 * len(STRUCTURES):
            cached = memory_mb()
    assert worker.programs.traced == len(STRUCTURES)
    assert memory_mb() - cached < ROOM_MB


def test_programs_that_are_dropped_give_their_memory_back(mlp):
    worker = Trainer(mlp, programs_kept=2)
    for index in range(9):
        hp = {"units": 2 + index, "activation": ["relu", "silu"][index % 2], "hidden_layers": 1}
        worker.begin(hp, index)
        train_epoch(worker)
        if index == 3:
            warm = graphs()
    assert worker.programs.traced == 9
    assert graphs() == warm


def test_a_gradient_of_a_users_own_function_is_kept(tmp_path, data):
    source = """
        import tensorflow as tf

        class Own(layers.Layer):
            @tf.function
            def call(self, x):
                return tf.nn.silu(x) * 2

        def build(hp, input_shape, num_classes):
            model = keras.Sequential([keras.Input(input_shape), Own(), layers.Dense(num_classes, activation="softmax")])
            model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
            return model
    """
    trainer = Trainer(net_in(tmp_path, data, source))
    trainer.begin({"batch_size": 32}, 1)
    assert train_epoch(trainer)["loss"] > 0 and trainer.backend.path == "compiled"
