"""A small residual network (He et al. 2015, "Deep residual learning"): a stem, one block a stage.

Block l = 1 … L, with BN for BatchNormalization and 3x3 convolutions without b::

    F(a) = BN(W₂ * activation(BN(W₁ * a)))
    s(a) = a                             where the shapes agree (their option B)
    s(a) = BN(W_s * a)                   1x1, where the stage changes size or filters
    out  = activation(F(a) + s(a))       the sum is of normalised z; activated afterwards

    ŷ    = softmax(W average(a_L) + b)   global average pooling; one unit a class, with b

Each stage after the first doubles the filters and halves the picture while both its sides are at
least 4, so tiny pictures stay whole. The head is kept in float32 so that the cross-entropy is
computed from its z and dJ/dz = ŷ - y also where ŷ saturates (see mlp.py).

Hyperparameters: ``hidden_layers`` (stages), ``filters`` (of the first stage), ``activation``,
``dropout`` (before the head), ``batch_norm``, ``batch_norm_momentum``. Without ``batch_norm`` the
convolutions keep their b.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers


def build(hp: Mapping[str, Any], input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Return the uncompiled network for pictures (height, width, channels) or (height, width)."""
    if len(input_shape) not in (2, 3):
        raise ValueError(
            "resnet: input_shape must be a picture's, (height, width, channels). "
            f"Received: {tuple(input_shape)}. For vectors use the model mlp."
        )
    activation, dropout = hp.get("activation", "relu"), float(hp.get("dropout", 0.0))
    filters = int(hp.get("filters", 16))
    inputs = keras.Input(shape=input_shape, name="x")
    a = inputs if len(input_shape) == 3 else layers.Reshape((*input_shape, 1))(inputs)
    a = layers.Activation(activation, name="stem_a")(convolution(a, hp, filters, "stem"))
    for stage in range(1, int(hp.get("hidden_layers", 3)) + 1):
        stride = 2 if stage > 1 and min(a.shape[1:3]) >= 4 else 1
        a = block(a, hp, filters * 2 ** (stage - 1), f"stage{stage}", stride)
    a = layers.GlobalAveragePooling2D(name="average")(a)
    a = layers.Dropout(dropout, name="average_drop")(a) if dropout > 0 else a
    head = hp.get("output_activation", "softmax")
    y_hat = layers.Dense(num_classes, activation=head, dtype="float32", name="y_hat")(a)
    return keras.Model(inputs, y_hat, name="resnet")


def block(
    a: keras.KerasTensor, hp: Mapping[str, Any], filters: int, name: str, stride: int
) -> keras.KerasTensor:
    """Return activation(F(a) + s(a)); its first convolution and s step ``stride`` pixels."""
    activation = hp.get("activation", "relu")
    inner = convolution(a, hp, filters, f"{name}_1", (3, stride))
    inner = layers.Activation(activation, name=f"{name}_1_a")(inner)
    residual = convolution(inner, hp, filters, f"{name}_2")
    shortcut = a
    if residual.shape != a.shape:
        shortcut = convolution(a, hp, filters, f"{name}_s", (1, stride))
    total = layers.Add(name=f"{name}_sum")([residual, shortcut])
    return layers.Activation(activation, name=f"{name}_a")(total)


def convolution(
    a: keras.KerasTensor,
    hp: Mapping[str, Any],
    filters: int,
    name: str,
    size_and_stride: tuple[int, int] = (3, 1),
) -> keras.KerasTensor:
    """Return BatchNormalization(W * a), not yet activated."""
    size, stride = size_and_stride
    batch_norm = bool(hp.get("batch_norm", True))
    z = layers.Conv2D(
        filters,
        size,
        strides=stride,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer="he_normal",
        name=f"{name}_z",
    )(a)
    if batch_norm:
        momentum = float(hp.get("batch_norm_momentum", 0.9))
        z = layers.BatchNormalization(momentum=momentum, name=f"{name}_norm")(z)
    return z
