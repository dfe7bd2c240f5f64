"""Data as users' loaders return it: every form of features and labels that Keras takes."""

import numpy as np

ROWS = 240


def _drawn(features=6, rows=ROWS):
    """Three classes that overlap a little."""
    r = np.random.default_rng(3)
    y = r.integers(0, 3, rows)
    centres = r.normal(0, 1, (3, features))
    return (centres[y] + r.normal(0, 1.0, (rows, features))).astype("float32"), y


def classes():
    return _drawn()


def double_precision():
    x, y = _drawn()
    return x.astype("float64"), y.astype("int32")


def half_precision():
    x, y = _drawn()
    return x.astype("float16"), y


def true_or_false():
    x, y = _drawn(24)
    return x > 0.3, y


def uneven_columns():
    """Columns of very different size, as measured: nobody scales them for a user's model."""
    x, y = _drawn()
    return x * np.array([1, 10, 0.1, 1, 5, 1], "float32") + 2, y


def names():
    x, y = _drawn()
    return x, np.array(["ant", "bee", "cat"])[y]


def one_hot():
    x, y = _drawn()
    return x, np.eye(3, dtype="float32")[y]


def soft_labels():
    """What another model said: rows of probabilities."""
    x, y = _drawn()
    return x, (0.9 * np.eye(3)[y] + 0.1 / 3).astype("float32")


def class_column():
    x, y = _drawn()
    return x, y[:, None]


def float_classes():
    x, y = _drawn()
    return x, y.astype("float32")


def two_classes():
    x, y = _drawn()
    return x, (y > 0).astype("int64")


def column():
    """As Keras wants it for one sigmoid unit."""
    x, y = _drawn()
    return x, (y > 0).astype("float32")[:, None]


def true_labels():
    x, y = _drawn()
    return x, y > 0


def plus_minus():
    x, y = _drawn()
    return x, np.where(y > 0, 1.0, -1.0).astype("float32")[:, None]


def flags():
    x, y = _drawn()
    return x, np.stack([y > 0, x[:, 0] > 0, x[:, 1] > x[:, 2], y == 1], axis=1).astype("int64")


def quantity():
    x, y = _drawn()
    return x, (3 * x[:, 0] - x[:, 1] + 0.5 * y).astype("float32")


def quantity_column():
    x, y = quantity()
    return x, y[:, None]


def two_quantities():
    x, y = quantity()
    return x, np.stack([y, 2 - x[:, 2]], axis=1)


def tens():
    """Minutes until delivery, in tens: whole numbers that are no classes."""
    x, _ = _drawn()
    return x, (np.clip(np.round(30 + 6 * x[:, 0] - 3 * x[:, 1]), 10, 50) // 10 * 10).astype("int64")


def counts():
    x, _ = _drawn()
    return x, np.random.default_rng(4).poisson(np.exp(np.clip(0.4 * x[:, 0], -2, 2))).astype(
        "int32"
    )


def itself():
    x, _ = _drawn()
    return x, x


def weighted():
    x, y = _drawn()
    return x, y, np.where(y == 0, 3.0, 1.0).astype("float32")


def in_three():
    """Splits of the user's own."""
    x, y = _drawn()
    return {
        "train": (x[:140], y[:140]),
        "validation": (x[140:190], y[140:190]),
        "test": (x[190:], y[190:]),
    }


def pictures():
    """8 by 8 points, 0 to 255, one channel: a bright corner for each class."""
    _, y = _drawn()
    r = np.random.default_rng(5)
    x = r.integers(0, 120, (ROWS, 8, 8, 1))
    for row, label in enumerate(y):
        x[
            row, 3 * (label == 1) : 5 + 3 * (label == 1), 4 * (label == 2) : 4 + 4 * (label == 2)
        ] += 100
    return x.astype("uint8"), y


def colours():
    x, y = pictures()
    return np.repeat(x, 3, axis=3).astype("float32") / 255, y


def masks():
    """A label for each point of a picture."""
    x, _ = pictures()
    return x.astype("float32") / 255, (x > 128).astype("float32")


def point_classes():
    x, _ = pictures()
    return x.astype("float32") / 255, (x[..., 0] // 90).astype("int32")


def restored():
    x, _ = colours()
    return x, x


def volumes():
    x, y = pictures()
    return x.reshape(ROWS, 4, 4, 4, 1).astype("float32") / 255, y


def films():
    x, y = pictures()
    return x.reshape(ROWS, 4, 4, 4, 1).astype("float32") / 255, y


def words():
    """Word numbers, padded with 0 on the right; two classes."""
    r = np.random.default_rng(6)
    y = r.integers(0, 2, ROWS)
    x = r.integers(1, 31, (ROWS, 10))
    own = r.random((ROWS, 10)) < 0.3
    x[own] = (31 + 5 * y[:, None] + r.integers(0, 5, (ROWS, 10)))[own]
    for row, length in zip(x, r.integers(4, 11, ROWS)):
        row[length:] = 0
    return x, y


def word_classes():
    """A class for each word of a sentence."""
    x, _ = words()
    return x, x % 3


def short_words():
    x, y = words()
    return x.astype("int32"), y.astype("float32")[:, None]


def series():
    r = np.random.default_rng(7)
    y = r.integers(0, 3, ROWS)
    time = np.arange(12)[None, :, None] * (0.4 + 0.5 * y[:, None, None])
    return (np.sin(time + r.random((ROWS, 1, 2)) * 6) + r.normal(0, 0.2, (ROWS, 12, 2))).astype(
        "float32"
    ), y


def padded_series():
    x, y = series()
    for row, length in zip(x, np.random.default_rng(8).integers(5, 13, ROWS)):
        row[length:] = 0
    return x, y


def next_value():
    x, _ = series()
    return x[:, :-1], x[:, -1, :1]


def whole_next_series():
    x, _ = series()
    return x[:, :-1], x[:, 1:]


def two_inputs():
    """By the names of a model's inputs."""
    x, y = _drawn()
    pictures, _ = colours()
    return {"numbers": x, "picture": pictures}, y


def pair_of_inputs():
    x, y = _drawn()
    return [x, x[::-1].copy() + y[:, None].astype("float32")], y


def table():
    """Columns by name: numbers and category numbers."""
    x, y = _drawn()
    r = np.random.default_rng(9)
    return {
        "age": x[:, :1],
        "income": 1000 * x[:, 1:2],
        "kind": ((y[:, None] + r.integers(0, 2, (ROWS, 1))) % 4).astype("int64"),
    }, y


def two_outputs():
    """By the names of a model's outputs."""
    x, y = _drawn()
    return x, {"kind": y, "size": (x[:, :1] * 2 + 1).astype("float32")}


def pair_of_outputs():
    x, y = _drawn()
    return x, [np.eye(3, dtype="float32")[y], (x[:, :1] > 0).astype("float32")]


def both():
    x, y = two_inputs()
    return x, {"kind": y, "size": x["numbers"][:, :1]}


def ids():
    """Two numbers that stand for a person and a film, and a rating."""
    r = np.random.default_rng(10)
    x = np.stack([r.permutation(ROWS) % 40, np.arange(ROWS) // 4], axis=1).astype("int32")
    return x, (3 + ((x[:, 0] % 3) - (x[:, 1] % 2))).astype("float32")
