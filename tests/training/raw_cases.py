"""Data of every kind and task, each with a small model: a user's own rows, and their labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

HEADER = "import keras\nfrom keras import layers\n\n\ndef build(hp, input_shape, num_classes):\n"
PLAIN = HEADER + (
    "    i = keras.Input(input_shape)\n"
    "    x = layers.Dense(16, activation='relu')(layers.Flatten()(i))\n"
    "    return keras.Model(i, layers.Dense({units}{head})(x))\n"
)


@dataclass(frozen=True)
class Case:
    """``pieces`` are what a loader returns; ``y`` are the test labels as the saved file's metrics take them."""

    pieces: Any
    raw: Any
    y: Any
    net: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    task: str = "auto"
    metrics: tuple[str, ...] = ("accuracy",)


def _blobs(rows: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, rows)
    centres = np.random.default_rng(9).normal(0, 1, (3, 5))
    x = (centres[codes] + rng.normal(0, 1, (rows, 5))) * [1, 10, 100, 0.1, 1] + [0, 5, -300, 1, 0]
    return x, codes


def _given(x, y, x_test, y_test):
    return (x, y), (x_test, y_test)


def whole_labels() -> Case:
    (x, y), (u, v) = _blobs(240, 0), _blobs(90, 1)
    numbers = np.array([3, 9, 10])
    return Case(_given(x, numbers[y], u, numbers[v]), u, v, options={"scale": "minmax"})


def logits() -> Case:
    (x, y), (u, v) = _blobs(240, 0), _blobs(90, 1)
    x, u = x / 100, u / 100
    return Case(_given(x, y, u, v), u, v, PLAIN.format(units="num_classes", head=""))


def mixed_precision() -> Case:
    (x, y), (u, v) = _blobs(240, 0), _blobs(90, 1)
    net = PLAIN.format(units="num_classes", head="").replace(
        "    i =", "    keras.mixed_precision.set_global_policy('mixed_float16')\n    i ="
    )
    return Case(_given(x, y, u, v), u, v, net, options={"scale": "standard"})


def quantities() -> Case:
    x, u = _blobs(240, 0)[0], _blobs(90, 1)[0]
    prices, others = 5000 + 700.5 * x[:, 0], 5000 + 700.5 * u[:, 0]
    return Case(_given(x, prices, u, others), u, others, metrics=("mae", "r2"))


def flags() -> Case:
    (x, y), (u, v) = _blobs(240, 0), _blobs(90, 1)
    table = np.array([[0, 1], [1, 1], [1, 0]])
    return Case(_given(x, table[y], u, table[v]), u, table[v])


def sigmoid() -> Case:
    (x, y), (u, v) = _blobs(240, 0), _blobs(90, 1)
    x, u = x / 100, u / 100
    net = PLAIN.format(units="1", head=", activation='sigmoid'")
    return Case(_given(x, y > 0, u, v > 0), u, (v > 0).astype(float)[:, None], net)


def pictures() -> Case:
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 256, (200, 6, 6, 1)).astype("uint8"), rng.integers(0, 2, 200)
    x[y == 1, :3] //= 3
    net = PLAIN.format(units="num_classes", head=", activation='softmax'").replace(
        "layers.Flatten()(i)", "layers.Flatten()(layers.Rescaling(1 / 255)(i))"
    )
    return Case(_given(x[:150], y[:150], x[150:], y[150:]), x[150:], y[150:], net)


def token_ids() -> Case:
    rng = np.random.default_rng(4)
    x = rng.integers(0, 40, (300, 7))
    y = (x < 8).any(axis=1).astype(int)
    net = HEADER + (
        "    i = keras.Input(input_shape, dtype='int32')\n"
        "    x = layers.GlobalMaxPooling1D()(layers.Embedding(40, 8)(i))\n"
        "    return keras.Model(i, layers.Dense(num_classes, activation='softmax')(x))\n"
    )
    return Case(_given(x[:220], y[:220], x[220:], y[220:]), x[220:], y[220:], net)


def two_inputs() -> Case:
    (x, y), (u, v) = _blobs(240, 0), _blobs(90, 1)
    net = HEADER + (
        "    i = {name: keras.Input(shape, name=name) for name, shape in input_shape.items()}\n"
        "    x = layers.Concatenate()([i['a'], i['b']])\n"
        "    return keras.Model(i, layers.Dense(num_classes)(layers.BatchNormalization()(x)))\n"
    )

    def both(rows):
        return {"a": rows[:, :2], "b": rows[:, 2:]}

    return Case(_given(both(x), y, both(u), v), both(u), v, net)


ARRAYS = {
    case.__name__: case
    for case in (
        *(whole_labels, logits, mixed_precision, quantities, flags),
        *(sigmoid, pictures, token_ids, two_inputs),
    )
}


def table(rows: int, seed: int) -> dict[str, Any]:
    """Return columns with gaps, in numbers and texts; test rows hold texts that training never sees."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, rows)
    weight = np.round(kind * 30 + rng.normal(0, 12, rows), 2)
    colours = np.array(["red", "green", "navy blue"])[(kind + (rng.random(rows) < 0.2)) % 3]
    columns = {
        "weight": np.where(rng.random(rows) < 0.1, np.nan, weight),
        "height": np.round(rng.normal(170, 9, rows), 1),
        "colour": np.where(rng.random(rows) < 0.1, "", colours).astype(object),
        "old": kind > rng.integers(0, 3, rows),
    }
    return columns | {"sort": np.array(["hen", "duck", "goose"])[kind]}
