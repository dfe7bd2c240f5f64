"""Models of many kinds, and whether their trials train as lanes: the table of docs/backends.md, one source a row."""

from __future__ import annotations

import textwrap

HEADER = """
import keras, numpy as np
from keras import layers, ops

"""
BUILD = "def build(hp, input_shape, num_classes):\n"
HEAD = "    return keras.Model(i, layers.Dense(num_classes, 'softmax')(x))\n"
FLAT = "    i = keras.Input(input_shape)\n    x = i\n"
SEQUENCE = "    i = keras.Input(input_shape)\n    x = layers.Reshape((3, 2))(i)\n"
TOKENS = (
    "    i = keras.Input(input_shape)\n"
    "    x = layers.Embedding(8, 4)(ops.cast(ops.clip(ops.floor(i) + 3, 0, 7), 'int32'))\n"
)


def functional(body: str, start: str = FLAT, before: str = "") -> str:
    """Return a builder whose ``body`` goes from the input to the head."""
    return HEADER + textwrap.dedent(before) + BUILD + start + textwrap.indent(body, "    ") + HEAD


def compiled(
    options: str, before: str = "", build: str = "x = layers.Dense(6, 'tanh')(x)\n"
) -> str:
    """Return a builder that compiles its model."""
    source = functional(build, before=before).replace(HEAD, HEAD.replace("return", "model ="))
    return f"{source}    model.compile({options})\n    return model\n"


SUBCLASSED = """
class Net(keras.Model):
    def __init__(self, units, classes):
        super().__init__()
        self.hidden, self.norm = layers.Dense(units, "relu"), layers.BatchNormalization()
        self.drop, self.out = layers.Dropout(0.2), layers.Dense(classes, "softmax")

    def call(self, x, training=False):
        return self.out(self.drop(self.norm(self.hidden(x), training=training), training=training))

def build(hp, input_shape, num_classes):
    net = Net(8, num_classes)
    net(ops.zeros((1, *input_shape)))
    return net
"""
LAYER = """
class Gate(layers.Layer):
    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.seen.assign(self.seen + 1.0)
        return x * ops.sigmoid(self.scale)

"""
LOSS = """
def squared(y, p):
    return ops.mean(ops.square(ops.one_hot(ops.cast(ops.reshape(y, (-1,)), "int32"), 3) - p), axis=-1)

class Share(keras.metrics.Metric):
    def __init__(self):
        super().__init__(name="share")
        self.right = self.add_weight(name="right", initializer="zeros")
        self.all = self.add_weight(name="all", initializer="zeros")

    def update_state(self, y, p, sample_weight=None):
        y = ops.cast(ops.reshape(y, (-1,)), "int32")
        self.right.assign_add(ops.sum(ops.cast(y == ops.argmax(p, axis=-1), "float32")))
        self.all.assign_add(ops.cast(ops.shape(p)[0], "float32"))

    def result(self):
        return self.right / self.all

"""
SEQUENTIAL = (
    HEADER
    + BUILD
    + (
        "    return keras.Sequential([keras.Input(input_shape), layers.Dense(8, 'relu'),"
        " layers.Dense(num_classes, 'softmax')])\n"
    )
)
TWO_INPUTS = (
    HEADER
    + BUILD
    + (
        "    a, b = keras.Input((4,), name='a'), keras.Input((2,), name='b')\n"
        "    x = layers.Concatenate()([layers.Dense(5, 'tanh')(a), layers.Dense(3, 'tanh')(b)])\n"
        "    return keras.Model({'a': a, 'b': b}, layers.Dense(num_classes, 'softmax')(x))\n"
    )
)
OWN_STEP = (
    HEADER
    + (
        "class Net(keras.Model):\n    def train_step(self, state, data):\n"
        "        return super().train_step(state, data)\n\n"
    )
    + BUILD
    + "    i = keras.Input(input_shape)\n    return Net(i, layers.Dense(num_classes, 'softmax')(i))\n"
)
REGRESSION = functional("x = layers.Dense(8, 'tanh')(x)\n").replace("num_classes, 'softmax'", "1")
FLAGS = functional("x = layers.Dense(8, 'tanh')(x)\n").replace("'softmax'", "'sigmoid'")
DENSE = functional("x = layers.Dense(8, 'relu')(x)\n")
SGD = "optimizer=keras.optimizers.SGD(hp['learning_rate'], momentum=0.8)"

LANES = {
    "Sequential": SEQUENTIAL,
    "two inputs": TWO_INPUTS,
    "subclassed": HEADER + SUBCLASSED,
    "Dropout": functional("x = layers.Dropout(hp['drop'])(layers.Dense(8, 'relu')(x))\n"),
    "SpatialDropout, GaussianNoise": functional(
        "x = layers.Flatten()(layers.GaussianNoise(0.1)(layers.SpatialDropout1D(0.3)(x)))\n",
        SEQUENCE,
    ),
    "BatchNormalization": functional(
        "x = layers.Activation('relu')(layers.BatchNormalization()(layers.Dense(8)(x)))\n"
    ),
    "LayerNormalization": functional(
        "x = layers.LayerNormalization()(layers.Dense(8, 'relu')(x))\n"
    ),
    "LSTM": functional("x = layers.LSTM(5)(x)\n", SEQUENCE),
    "LSTM with dropout": functional(
        "x = layers.LSTM(5, dropout=0.2, recurrent_dropout=0.2)(x)\n", SEQUENCE
    ),
    "GRU, Bidirectional": functional("x = layers.Bidirectional(layers.GRU(4))(x)\n", SEQUENCE),
    "Embedding": functional("x = layers.Flatten()(x)\n", TOKENS),
    "attention": functional(
        "x = layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 3, dropout=0.1)(x, x))\n",
        TOKENS,
    ),
    "Conv2D, MaxPooling2D": functional(
        "x = layers.Conv2D(4, 2, padding='same', activation='relu')(layers.Reshape((3, 2, 1))(x))\n"
        "x = layers.Flatten()(layers.MaxPooling2D((1, 2))(x))\n"
    ),
    "a layer of one's own": functional("x = Gate()(layers.Dense(6, 'relu')(x))\n", before=LAYER),
    "a loss and a metric of one's own": compiled(f"{SGD}, loss=squared, metrics=[Share()]", LOSS),
    "compiled by its builder": compiled(
        "optimizer=keras.optimizers.Adam(hp['learning_rate'] / 10), loss='sparse_categorical_crossentropy',"
        " metrics=['accuracy']"
    ),
    "mixed_bfloat16": "import keras\nkeras.config.set_dtype_policy('mixed_bfloat16')\n" + DENSE,
    "regression": REGRESSION,
    "multi-label": FLAGS,
    "class_weight": DENSE,
    "sample_weight": DENSE,
}
"""What trains as lanes, by name: a builder's source."""

ALONE = {
    "train_step of one's own": (OWN_STEP, "the model overrides train_step()"),
    "mixed_float16": (
        "import keras\nkeras.config.set_dtype_policy('mixed_float16')\n" + DENSE,
        "the loss is scaled, in mixed precision",
    ),
    "a schedule as the rate": (
        compiled(
            "optimizer=keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),"
            " loss='sparse_categorical_crossentropy', metrics=['accuracy']"
        ),
        "learning rate is a ExponentialDecay",
    ),
    "NumPy's generator in the step": (
        functional(
            "x = Noisy()(layers.Dense(6)(x))\n",
            before="class Noisy(layers.Layer):\n"
            "    def call(self, x):\n        return x + np.random.normal(0, 0.01)\n\n",
        ),
        "draws from NumPy's or Python's own generator",
    ),
}
"""What does not, by name: a builder's source and a part of what is said of it."""
