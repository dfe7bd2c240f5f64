"""What random models are made of: features, labels, layers, heads, losses, metrics, optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Features:
    """How rows are drawn, of how many dimensions, in which types; ``input`` is the type the model asks for."""

    source: str
    rank: int
    dtypes: tuple[str, ...]
    input: str = ""


@dataclass(frozen=True)
class Head:
    """A last layer, the loss it is compiled with, the labels it takes, and what an uncompiled one is for."""

    layer: str
    loss: str
    labels: tuple[str, ...]
    task: str | None
    metrics: str


REAL = ("float32", "float64", "float16")
FEATURES: Mapping[str, Features] = {
    "vector": Features("r.normal(0, 1, (ROWS, 5)) + 0.7 * kind[:, None]", 1, REAL),
    "whole numbers": Features("r.integers(0, 50, (ROWS, 6)) + kind[:, None]", 1, ("int64", "int32", "uint8")),
    "series": Features("r.normal(0, 1, (ROWS, 6, 3)) + 0.7 * kind[:, None, None]", 2, REAL),
    "picture": Features(
        "r.integers(0, 200, (ROWS, 6, 6, 2)) + 20 * kind[:, None, None, None]",
        3,
        ("uint8", "float32", "int64"),
    ),
    "words": Features("r.integers(0, 18, (ROWS, 7)) + kind[:, None]", 0, ("int64", "int32")),
}  # fmt: skip

LABELS: Mapping[str, str] = {
    "classes": "kind",
    "small classes": "kind.astype('uint8')",
    "float classes": "kind.astype('float64')",
    "class column": "kind[:, None]",
    "names": "np.array(['ant', 'bee', 'cat'])[kind]",
    "one hot": "np.eye(3)[kind]",
    "two": "(kind > 0).astype('int64')",
    "two in a column": "(kind > 0).astype('float32')[:, None]",
    "booleans": "kind > 0",
    "signs": "np.where(kind > 0, 1.0, -1.0)[:, None]",
    "flags": "np.stack([kind > 0, kind == 1, r.random(ROWS) > 0.5], axis=1).astype('int64')",
    "quantity": "2.0 * kind + r.normal(0, 0.3, ROWS)",
    "quantity column": "(2.0 * kind + r.normal(0, 0.3, ROWS))[:, None].astype('float32')",
    "two quantities": "np.stack([kind + 0.5, 3 - kind + r.normal(0, 1, ROWS)], axis=1)",
    "tens": "10 + 10 * kind",
}
NUMBERED = ("classes", "small classes", "float classes", "class column")
TWO = ("two", "two in a column", "booleans")

HEADS: Mapping[str, Head] = {
    "softmax": Head(
        'layers.Dense(3, activation="softmax")',
        '"sparse_categorical_crossentropy"',
        (*NUMBERED,),
        "classification",
        "classes",
    ),
    "softmax of names": Head(
        'layers.Dense(3, activation="softmax")', "", ("names",), "classification", ""
    ),
    "logits": Head(
        "layers.Dense(3)",
        "keras.losses.SparseCategoricalCrossentropy(from_logits=True)",
        (*NUMBERED,),
        "logits",
        "classes",
    ),
    "one hot": Head(
        'layers.Dense(3, activation="softmax")',
        '"categorical_crossentropy"',
        ("one hot",),
        None,
        "one hot",
    ),
    "sigmoid": Head(
        'layers.Dense(1, activation="sigmoid")', '"binary_crossentropy"', TWO, "binary", "binary"
    ),
    "logit": Head(
        "layers.Dense(1)",
        "keras.losses.BinaryCrossentropy(from_logits=True)",
        ("two", "two in a column"),
        "binary_logits",
        "",
    ),
    "tanh": Head('layers.Dense(1, activation="tanh")', '"hinge"', ("signs",), None, ""),
    "sigmoids": Head(
        'layers.Dense(3, activation="sigmoid")',
        '"binary_crossentropy"',
        ("flags",),
        "multilabel",
        "flags",
    ),
    "number": Head(
        "layers.Dense(1)",
        '"mse"',
        ("quantity", "quantity column", "tens"),
        "regression",
        "regression",
    ),
    "two numbers": Head(
        "layers.Dense(2)", "keras.losses.Huber()", ("two quantities",), None, "regression"
    ),
}

METRICS: Mapping[str, tuple[str, ...]] = {
    "classes": (
        '"accuracy"',
        "keras.metrics.SparseTopKCategoricalAccuracy(2)",
        '"sparse_categorical_crossentropy"',
    ),
    "one hot": (
        '"accuracy"',
        "keras.metrics.AUC()",
        "keras.metrics.Precision()",
        'keras.metrics.F1Score(average="macro")',
    ),
    "binary": ('"accuracy"', "keras.metrics.AUC()", "keras.metrics.Recall()", '"mae"'),
    "flags": ('"accuracy"', "keras.metrics.AUC(multi_label=True)", '"binary_accuracy"'),
    "regression": (
        '"mae"',
        "keras.metrics.RootMeanSquaredError()",
        '"mape"',
        "keras.metrics.LogCoshError()",
    ),
}

ACTIVATIONS = ("relu", "tanh", "gelu", "selu", "sigmoid", "linear")
OF_ANY_RANK = (
    "layers.Dropout(0.2)",
    "layers.Dropout(0.3, seed=4)",
    "layers.GaussianNoise(0.1)",
    "layers.LayerNormalization()",
    "layers.BatchNormalization()",
    "layers.BatchNormalization(momentum=0.6)",
    "layers.Activation(ACT)",
    "layers.UnitNormalization()",
    "layers.Rescaling(0.1, offset=-0.5)",
    'layers.Dense(4, activation=ACT, dtype="mixed_float16")',
    "layers.Dense(6, activation=ACT)",
)
LAYERS: Mapping[int, tuple[str, ...]] = {
    0: ("layers.Embedding(20, 4)", "layers.Embedding(20, 4, mask_zero=True)"),
    1: (
        *OF_ANY_RANK,
        'layers.Dense(6, activation=ACT, kernel_regularizer="l2")',
        "layers.SpectralNormalization(layers.Dense(5))",
        "layers.Dense(5, kernel_constraint=keras.constraints.MaxNorm(0.5))",
        "layers.RepeatVector(3)",
        "layers.ActivityRegularization(l2=1e-3)",
        "layers.AlphaDropout(0.1)",
        "layers.PReLU()",
    ),
    2: (
        *OF_ANY_RANK,
        "layers.LSTM(4)",
        "layers.GRU(4, return_sequences=True, recurrent_dropout=0.1)",
        "layers.SimpleRNN(4)",
        "layers.Bidirectional(layers.GRU(3))",
        'layers.Conv1D(4, 2, padding="same", activation=ACT)',
        "layers.GlobalAveragePooling1D()",
        "layers.SpatialDropout1D(0.2)",
        "layers.TimeDistributed(layers.Dense(4))",
    ),
    3: (
        *OF_ANY_RANK,
        'layers.Conv2D(4, 3, padding="same", activation=ACT)',
        'layers.SeparableConv2D(4, 2, padding="same")',
        'layers.DepthwiseConv2D(2, padding="same")',
        "layers.GlobalMaxPooling2D()",
        "layers.GlobalAveragePooling2D()",
        'layers.MaxPooling2D(2, strides=1, padding="same")',
        'layers.RandomFlip("horizontal", seed=2)',
        "layers.SpatialDropout2D(0.2)",
        "layers.GroupNormalization(groups=-1)",
        "layers.Reshape((-1, 4))",
    ),
}
RANKS = {
    "layers.Embedding(": 2,
    "layers.RepeatVector(": 2,
    "layers.LSTM(4)": 1,
    "layers.SimpleRNN(": 1,
    "layers.Bidirectional(": 1,
    "layers.GlobalAveragePooling": 1,
    "layers.GlobalMaxPooling": 1,
    "layers.Reshape(": 2,
}


def rank_after(layer: str, rank: int) -> int:
    """Return the dimensions of a row after a layer."""
    return next((after for start, after in RANKS.items() if layer.startswith(start)), rank)


OPTIMIZERS = (
    '"adam"',
    "keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)",
    'keras.optimizers.Adam(hp["rate"], clipnorm=0.5)',
    "keras.optimizers.RMSprop(0.005, centered=True)",
    "keras.optimizers.AdamW(0.01, weight_decay=0.05)",
    "keras.optimizers.Nadam(keras.optimizers.schedules.ExponentialDecay(0.02, 3, 0.7))",
    "keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 10))",
    "keras.optimizers.Adam(0.01, use_ema=True, ema_momentum=0.7)",
    "keras.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2)",
    "keras.optimizers.Adam(0.02, gradient_accumulation_steps=2)",
    "keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.05), initial_scale=512.0)",
    "keras.optimizers.Lion(0.002)",
    "keras.optimizers.Adagrad(0.05)",
    "keras.optimizers.Ftrl(0.05)",
)
TRAINING: tuple[Mapping[str, Any], ...] = (
    {},
    {"learning_rate": 0.05, "momentum": 0.5},
    {"optimizer": "adam", "learning_rate": 0.01},
    {"optimizer": "adamw", "learning_rate": 0.01, "weight_decay": 0.05},
    {"optimizer": "rmsprop", "learning_rate": 0.005, "momentum": 0.3},
    {"learning_rate": 0.02, "weight_decay": 0.01},
)
