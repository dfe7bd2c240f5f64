"""Programs that are kept on disk give what traced ones give, and nothing else is ever taken for one."""

from __future__ import annotations

import dataclasses
import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from orchestrator.data import Dataset
from orchestrator.training import compiled_backend, initial_state, optimizers, program_store
from orchestrator.training.program_store import (
    FOLDER,
    KeptProgram,
    StoredPrograms,
    store_folder,
    stored_programs,
)
from orchestrator.training.task import LearningGoal, Task, TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import Built, arrays_of
from tests.depth import in_depth
from tests.training.conftest import curve_of, state_of

SMALL = {"learning_rate": 0.05, "batch_size": 32, "units": 8, "hidden_layers": 1}
SEEDS = (1, 2, 3)
"""The first trial has a program traced, the second one shows that its build can be spared, the third one spares it."""


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path / "programs"))
    return tmp_path / "programs"


@pytest.fixture
def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The programs that were traced since, by the first word of their names."""
    names: list[str] = []

    class Noted(KeptProgram):
        def __init__(self, name: str, function: Any, *rest: Any) -> None:
            def noted(*given: Any) -> Any:
                names.append(name.split()[0])
                return function(*given)

            noted.get_concrete_function = function.get_concrete_function  # type: ignore[attr-defined]
            super().__init__(name, noted, *rest)

    monkeypatch.setattr(compiled_backend, "KeptProgram", Noted)
    monkeypatch.setattr(initial_state, "KeptProgram", Noted)
    return names


def trained(task: TrainingTask, given: dict[str, Any]) -> list[Any]:
    """What three trials of a fresh worker give, to the bit."""
    worker, found = Trainer(task), []
    for seed in SEEDS:
        curve = [list(row.items()) for row in curve_of(worker, given, seed)]
        found.append((curve, [value.tobytes() for value in state_of(worker)]))
    return found


@pytest.mark.parametrize(
    "more",
    [
        {"optimizer": "sgd", "momentum": 0.9},
        {"optimizer": "adamw", "label_smoothing": 0.1, "activation": "silu"},
        {"optimizer": "rmsprop", "dropout": 0.3, "batch_norm": False},
    ],
    ids=lambda more: more["optimizer"],
)
def test_a_program_from_disk_gives_what_a_traced_one_gives(
    more: dict[str, Any],
    mlp: TrainingTask,
    store: Path,
    traced: list[str],
    monkeypatch: pytest.MonkeyPatch,
):
    given = SMALL | more
    first = trained(mlp, given)
    assert set(traced) == {"train", "evaluate", "initial"}
    traced.clear()
    again = trained(mlp, given)
    assert not traced
    monkeypatch.setenv(FOLDER, "")
    assert first == again == trained(mlp, given)


def test_what_one_worker_has_seen_of_a_structures_builds_spares_another_one_its_second_build(
    mlp: TrainingTask, store: Path, monkeypatch: pytest.MonkeyPatch
):
    given = SMALL | {"dropout": 0.3}

    def spared(worker: Trainer) -> list[int]:
        found = []
        for seed in SEEDS:
            curve_of(worker, given, seed)
            found.append(worker.programs.spared)
        return found

    assert spared(Trainer(mlp)) == [0, 0, 1]
    assert spared(Trainer(mlp)) == [0, 1, 2]
    monkeypatch.setattr(initial_state.InitialState, "is_what", lambda *_: False)
    assert spared(Trainer(mlp)) == [0, 1, 2]
    monkeypatch.setattr(StoredPrograms, "is_known", lambda *_: False)
    assert spared(Trainer(mlp)) == [0, 0, 0]


def averages(task: TrainingTask) -> list[bytes]:
    """The averages that a winner of a fresh worker's is handed over with, to the bit; computed twice over."""
    worker = Trainer(task)
    curve_of(worker, SMALL | {"dropout": 0.2, "hidden_layers": 2}, 1)
    found = []
    for _ in range(2):
        worker.backend.recalibrate()
        found += [value.tobytes() for value in arrays_of(worker.backend.batch_norm.averages)]
    return found


def test_a_winners_averages_from_disk_are_those_of_a_traced_program(
    mlp: TrainingTask, store: Path, traced: list[str], monkeypatch: pytest.MonkeyPatch
):
    first = averages(mlp)
    assert "recalibrate" in traced
    traced.clear()
    again = averages(mlp)
    assert not traced
    monkeypatch.setenv(FOLDER, "")
    assert first == again == averages(mlp)
    assert first[:4] != [bytes(len(value)) for value in first[:4]]


def test_what_is_in_no_order_is_in_no_order_on_disk(
    mlp: TrainingTask, store: Path, traced: list[str], monkeypatch: pytest.MonkeyPatch
):
    """The hyperparameters of an optimizer are a set of words, which each process has in an order of its own."""
    names = ("beta_1", "beta_2", "epsilon")
    given = SMALL | {"optimizer": "adam"}
    monkeypatch.setattr(optimizers, "OPTIMIZER_READS", {"adam": names})
    first = trained(mlp, given)
    traced.clear()
    monkeypatch.setattr(optimizers, "OPTIMIZER_READS", {"adam": names[::-1]})
    assert trained(mlp, given) == first
    assert not traced


def test_a_damaged_file_is_traced_anew(mlp: TrainingTask, store: Path, traced: list[str]):
    first = trained(mlp, SMALL)
    for file in store.iterdir():
        content = bytearray(file.read_bytes())
        content[-20] ^= 1
        file.write_bytes(content)
    traced.clear()
    assert trained(mlp, SMALL) == first
    assert set(traced) == {"train", "evaluate", "initial"}
    traced.clear()
    assert trained(mlp, SMALL) == first
    assert not traced


def test_another_structure_is_another_program(mlp: TrainingTask, store: Path, traced: list[str]):
    trained(mlp, SMALL)
    traced.clear()
    trained(mlp, SMALL | {"units": 9})
    assert "train" in traced


def users(body: str, top: str = "") -> str:
    """A user's file: `body` makes `a` of `a`, and may have a `compiled` with which the model is compiled."""
    return f"""{top}
def build(hp, input_shape, num_classes):
    compiled = None
    inputs = a = keras.Input(input_shape)
    {body}
    model = keras.Model(inputs, layers.Dense(num_classes, activation="softmax", name="y")(a))
    if compiled:
        model.compile(**compiled)
    return model
"""


DENSE = 'a = layers.Dense(int(hp["units"]), activation="relu", name="z")(a)'


def test_a_users_model_of_keras_s_layers_is_kept(
    net: Callable[..., TrainingTask],
    store: Path,
    traced: list[str],
    monkeypatch: pytest.MonkeyPatch,
):
    task = net(users(DENSE))
    first = trained(task, SMALL)
    assert set(traced) == {"train", "evaluate"}
    traced.clear()
    again = trained(task, SMALL)
    assert not traced
    monkeypatch.setenv(FOLDER, "")
    assert first == again == trained(task, SMALL)


def test_another_text_of_a_users_file_is_another_program(
    net: Callable[..., TrainingTask], store: Path, traced: list[str]
):
    """It might have put something into Keras."""
    trained(net(users(DENSE)), SMALL)
    traced.clear()
    trained(net(users(DENSE, "# another")), SMALL)
    assert set(traced) == {"train", "evaluate"}


OWN = "def own(*given):\n    return keras.ops.tanh(given[-1])\n"
LOSS = """
def own(truth, scores):
    return keras.losses.sparse_categorical_crossentropy(truth, scores)
"""
MODEL = """
class Own(layers.Layer):
    def call(self, x):
        return x * 2
"""


@pytest.mark.parametrize(
    ("body", "top"),
    [
        ("a = layers.Lambda(own)(a)", OWN),
        ("a = layers.Dense(4, activation=own)(a)", OWN),
        ("a = layers.Dense(4, kernel_regularizer=lambda w: 0.1 * keras.ops.sum(w * w))(a)", ""),
        ("a = Own()(a)", MODEL),
        ('compiled = {"optimizer": "sgd", "loss": own}', LOSS),
        (
            'compiled = {"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", "metrics": [own]}',
            LOSS,
        ),
    ],
)
def test_a_model_with_code_of_the_users_is_not_kept(
    body: str, top: str, net: Callable[..., TrainingTask], store: Path
):
    trained(net(users(body, top)), SMALL)
    assert not store.exists() or not list(store.iterdir())


SGD = 'compiled = {{"optimizer": {}, "loss": "sparse_categorical_crossentropy"}}'
CHANGES = {
    "an activation": ('a = layers.Dense(4, activation=hp["v"])(a)', ("relu", "tanh")),
    "a slope": ('a = layers.LeakyReLU(negative_slope=hp["v"])(layers.Dense(4)(a))', (0.1, 0.4)),
    "a regulariser": (
        'a = layers.Dense(4, kernel_regularizer=keras.regularizers.L2(hp["v"]))(a)', (0.1, 0.2),
    ),
    "a rate": ('a = layers.Dropout(hp["v"], seed=3)(a)', (0.1, 0.5)),
    "an ε": ('a = layers.BatchNormalization(epsilon=hp["v"])(a)', (0.1, 1.0)),
    "a scale": ('a = layers.Rescaling(hp["v"])(a)', (0.5, 2.0)),
    "an array": (
        'a = layers.Normalization(mean=[hp["v"]] * 6, variance=[1.0] * 6)(a)', (0.5, 2.0),
    ),
    "what is trained": ('a = layers.Dense(6, trainable=hp["v"])(a)', (True, False)),
    "an operation": ('a = a + hp["v"] if hp["v"] < 1 else a * hp["v"]', (0.5, 2.0)),
    "an initialiser": (
        'a = layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(stddev=hp["v"]))(a)',
        (0.1, 1.0),
    ),
    "nesterov": (SGD.format('keras.optimizers.SGD(0.1, 0.9, nesterov=hp["v"])'), (True, False)),
    "a clipped norm": (SGD.format('keras.optimizers.SGD(0.1, clipnorm=hp["v"])'), (0.1, 0.2)),
    "a β": (SGD.format('keras.optimizers.Adam(0.1, beta_1=hp["v"])'), (0.5, 0.9)),
    "a schedule": (
        SGD.format('keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(hp["v"], 5, 0.5))'),
        (0.1, 0.01),
    ),
    "a loss": (
        'compiled = {"optimizer": "sgd", "loss": keras.losses.SparseCategoricalCrossentropy(ignore_class=hp["v"])}',
        (0, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", in_depth(CHANGES, "a regulariser", "a β"))
def test_what_a_value_changes_in_a_users_model_is_changed_from_disk_too(
    name: str, net: Callable[..., TrainingTask], store: Path, monkeypatch: pytest.MonkeyPatch
):
    body, values = CHANGES[name]
    task = net(users(body))
    given = [SMALL | {"v": value} for value in (*values, values[0])]
    found = [trained(task, each) for each in given]
    assert found[0] == found[2] != found[1]
    assert list(store.iterdir()) or name == "an array"  # a tensor that a program captures
    monkeypatch.setenv(FOLDER, "")
    assert found[:2] == [trained(task, each) for each in given[:2]]


def key_of(task: TrainingTask, goal: LearningGoal, structure: str = "{}") -> str:
    stored = stored_programs(task, Built(None, {}, False, 0.9), goal, structure)
    assert stored is not None
    return stored.key


def test_what_a_program_has_built_in_is_in_its_key(
    mlp: TrainingTask, data: Dataset, store: Path, monkeypatch: pytest.MonkeyPatch
):
    """A column's scale is a constant of the graph, since small tensors are: another one is another program."""
    goal = LearningGoal(Task("regression", standardized=True), "standardized", np.array([2.0]))
    keys = [
        key_of(mlp, goal),
        key_of(mlp, dataclasses.replace(goal, scale=np.array([3.0]))),
        key_of(mlp, dataclasses.replace(goal, task=Task("regression"))),
        key_of(dataclasses.replace(mlp, metrics=("auc",)), goal),
        key_of(mlp, goal, '{"units": 9}'),
    ]
    tf.keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        keys.append(key_of(mlp, goal))
    finally:
        tf.keras.mixed_precision.set_global_policy("float32")
    program_store._what_traces.cache_clear()
    monkeypatch.setattr(tf, "__version__", "another")
    keys.append(key_of(mlp, goal))
    program_store._what_traces.cache_clear()
    monkeypatch.undo()
    assert len(set(keys)) == len(keys)


def test_what_captures_anything_but_the_models_variables_is_not_kept(tmp_path: Path):
    mine, other = tf.Variable(1.0), tf.Variable(2.0)
    stored = StoredPrograms(tmp_path, "key")
    program = tf.function(lambda: {"sum": mine + other}, input_signature=[])
    kept = KeptProgram("sum", program, stored, lambda: {"mine": mine}, lambda: True)
    assert float(kept()["sum"]) == 3.0
    assert not list(tmp_path.iterdir())
    KeptProgram("sum", program, stored, lambda: {"mine": mine, "other": other}, lambda: True)()
    assert len(list(tmp_path.iterdir())) == 1


def test_variables_of_another_shape_are_none_of_a_programs(tmp_path: Path):
    stored, mine = StoredPrograms(tmp_path, "key"), tf.Variable([1.0])
    program = tf.function(lambda: {"sum": tf.reduce_sum(mine)}, input_signature=[])
    KeptProgram("sum", program, stored, lambda: {"mine": mine}, lambda: True)()
    assert stored.read("sum", {"mine": tf.Variable([1.0, 2.0])}) is None
    read = stored.read("sum", {"mine": tf.Variable([7.0])})
    assert read is not None and float(read()["sum"]) == 7.0


def test_a_program_that_is_dropped_is_forgotten_by_tensorflow(tmp_path: Path):
    stored, mine = StoredPrograms(tmp_path, "key"), tf.Variable([1.0])
    program = tf.function(lambda: {"sum": tf.reduce_sum(mine)}, input_signature=[])
    KeptProgram("sum", program, stored, lambda: {"mine": mine}, lambda: True)()
    before = set(context.context().list_function_names())
    read = stored.read("sum", {"mine": mine})
    assert read is not None
    read()
    made = set(context.context().list_function_names()) - before
    assert made
    del read
    gc.collect()
    assert not made & set(context.context().list_function_names())


def test_a_folder_that_others_may_write_to_is_not_used(
    store: Path, monkeypatch: pytest.MonkeyPatch
):
    assert store_folder() == store
    assert store.stat().st_mode & 0o777 == 0o700
    store.chmod(0o770)
    assert store_folder() is None
    store.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: store.stat().st_uid + 1)
    assert store_folder() is None
    monkeypatch.setenv(FOLDER, "")
    assert store_folder() is None


def test_the_oldest_programs_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(program_store, "KEPT", 2)
    mine = tf.Variable([1.0])
    program = tf.function(lambda: {"sum": tf.reduce_sum(mine)}, input_signature=[])
    program()
    stored = StoredPrograms(tmp_path, "key")
    for at, name in enumerate("abc"):
        stored.keep(name, program.get_concrete_function(), {"mine": mine})
        if stored._file(name).exists():
            os.utime(stored._file(name), (at, at))
    assert stored.read("a", {"mine": mine}) is None
    assert stored.read("c", {"mine": mine}) is not None
