"""Models that compute different things never have equal constants, by which programs are shared and kept on disk."""

from __future__ import annotations

import functools
import importlib.util
import operator
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from orchestrator.training.constants import constants_of
from orchestrator.training.keras_backend import IS_TENSORFLOW
from orchestrator.training.keras_internals import forget_names


def scaled(x: Any) -> Any:
    return x * scaled.by  # type: ignore[attr-defined]


class Holds(keras.layers.Layer):  # type: ignore[misc]
    """A layer with one attribute."""

    def __init__(self, name: str, value: Any) -> None:
        super().__init__()
        object.__setattr__(self, name, value)


class Penalised(keras.layers.Layer):  # type: ignore[misc]
    """A layer that keeps nothing of what it was given but in its weight."""

    def __init__(self, strength: float, is_cast: bool = True) -> None:
        super().__init__()
        penalty = keras.regularizers.L2(strength)
        self.add_weight(shape=(3,), regularizer=penalty, autocast=is_cast, name="w")


def dense(**changes: Any) -> Any:
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    for name, value in changes.items():
        setattr(layer.kernel, name, value)
    return layer


def with_attribute(value: float) -> Any:
    scaled.by = value  # type: ignore[attr-defined]
    return Holds("how", scaled)


def loaded(power: int) -> Any:
    """A Lambda as one comes out of a file: Keras makes the function in its own module."""
    layer = keras.layers.Lambda((lambda x: x * 2.0) if power == 2 else (lambda x: x * 3.0))
    return keras.layers.Lambda.from_config(layer.get_config(), safe_mode=False)


PAIRS: dict[str, Callable[[bool], Any]] = {
    "a constraint": lambda b: dense(constraint=keras.constraints.MaxNorm(1.0 + b)),
    "a constraint or none": lambda b: dense(constraint=keras.constraints.NonNeg() if b else None),
    "a regulariser": lambda b: dense(regularizer=keras.regularizers.L2(0.1 + b)),
    "an assigned gradient": lambda b: dense(overwrite_with_gradient=b),
    "a regulariser that a layer does not keep": lambda b: Penalised(0.1 + b),
    "a weight that is not cast": lambda b: Penalised(0.1, is_cast=b),
    "functions of one name": lambda b: Holds(
        "how", keras.ops.softmax if b else keras.activations.softmax
    ),
    "classes of one name": lambda b: Holds(
        "how", keras.losses.CategoricalHinge if b else keras.metrics.CategoricalHinge
    ),
    "attributes of a function": lambda b: with_attribute(1.0 + b),
    "names like TensorFlow's own": lambda b: Holds("_self_scale", 1.0 + b),
    "names like a distribution's": lambda b: Holds("_distributional_weight", 1.0 + b),
    "what a bound method holds": lambda b: Holds("how", {"a": 1.0 + b}.get),
    "what an iterator holds": lambda b: Holds("how", iter([1.0 + b])),
    "what an itemgetter holds": lambda b: Holds("how", operator.itemgetter(int(b))),
    "the type of an array": lambda b: Holds(
        "how", np.zeros(2, [("a" if b else "b", "f4"), ("c", "f4")])
    ),
    "a Lambda from a file": lambda b: loaded(2 + b),
}


@pytest.mark.parametrize("name", PAIRS)
def test_what_differs_is_told_apart(name: str):
    found = []
    for changed in (False, True):
        forget_names()
        found.append(constants_of(PAIRS[name](changed)).text)
    assert found[0] != found[1] or found == [None, None]


def test_what_is_equal_is_not_told_apart():
    found = []
    for _ in range(2):
        forget_names()
        found.append(constants_of(dense(constraint=keras.constraints.MaxNorm(1.0))))
    assert found[0] == found[1]
    assert found[0].text is not None and found[0].by_keras


def test_a_function_of_the_users_at_a_weight_is_seen():
    assert not constants_of(dense(regularizer=lambda w: keras.ops.sum(w * w))).by_keras
    assert not constants_of(loaded(2)).by_keras


def test_a_users_module_that_is_named_like_one_of_pythons_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "wave.py"
    file.write_text("import keras\nclass Own(keras.layers.Layer):\n    by = 2\n")
    spec = importlib.util.spec_from_file_location("wave", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "wave", module)
    spec.loader.exec_module(module)
    first = constants_of(module.Own())
    module.Own.by = 3
    forget_names()
    assert not first.by_keras
    assert constants_of(module.Own()).text != first.text


@pytest.mark.skipif(not IS_TENSORFLOW, reason="of TensorFlow's programs")
def test_a_program_that_calls_python_is_not_kept(tmp_path: Path):
    import tensorflow as tf

    from orchestrator.training.program_store import KeptProgram, StoredPrograms

    mine = tf.Variable([1.0])
    sine = functools.partial(tf.numpy_function, np.sin, [mine], tf.float32)
    program = tf.function(lambda: {"sine": sine()}, input_signature=[])
    stored = StoredPrograms(tmp_path, "key")
    KeptProgram("sine", program, stored, lambda: {"mine": mine}, lambda: True)()
    assert not list(tmp_path.iterdir())
