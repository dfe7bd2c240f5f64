"""A small convolutional network: convolution, BatchNormalization, activation, pooling; softmax.

Block l = 1 … L, in the manner of LeNet (LeCun et al. 1998) with BatchNormalization::

    z = W * a_prev                       3x3 kernels, same size, no b: β replaces it
    z̃ = γ (z - μ) / √(σ² + ε) + β        μ, σ² over mini-batch, height and width: one pair a channel
    a = max pool 2x2 (activation(z̃))     while the picture is at least 4 high and 4 wide

    ŷ = softmax(W flat(a_L) + b)         one unit a class; the head keeps its b

Each pooling halves both sides and the next block doubles its filters. The head is kept in float32
so that the cross-entropy is computed from its z and dJ/dz = ŷ - y also where ŷ saturates (mlp.py).

Hyperparameters: ``hidden_layers`` (blocks), ``filters`` (of the first block), ``activation``,
``dropout``, ``batch_norm``, ``batch_norm_momentum``. Without ``batch_norm`` the convolutions keep
their b.
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
            "cnn: input_shape must be a picture's, (height, width, channels). "
            f"Received: {tuple(input_shape)}. For vectors use the model mlp."
        )
    inputs = keras.Input(shape=input_shape, name="x")
    a = inputs if len(input_shape) == 3 else layers.Reshape((*input_shape, 1))(inputs)
    filters = int(hp.get("filters", 16))
    for number in range(1, int(hp.get("hidden_layers", 2)) + 1):
        a = convolution(a, hp, filters, number)
        if min(a.shape[1:3]) >= 4:
            a = layers.MaxPooling2D(2, name=f"a{number}_pool")(a)
            filters *= 2
    head = hp.get("output_activation", "softmax")
    y_hat = layers.Dense(num_classes, activation=head, dtype="float32", name="y_hat")
    return keras.Model(inputs, y_hat(layers.Flatten(name="flat")(a)), name="cnn")


def convolution(
    a: keras.KerasTensor, hp: Mapping[str, Any], filters: int, number: int
) -> keras.KerasTensor:
    """Return activation(BatchNormalization(W * a)), with dropout where there is any."""
    activation = hp.get("activation", "relu")
    batch_norm = bool(hp.get("batch_norm", True))
    dropout = float(hp.get("dropout", 0.0))
    z = layers.Conv2D(
        filters,
        3,
        padding="same",
        use_bias=not batch_norm,
        kernel_initializer="he_normal" if activation == "relu" else "glorot_normal",
        name=f"z{number}",
    )(a)
    if batch_norm:
        momentum = float(hp.get("batch_norm_momentum", 0.9))
        z = layers.BatchNormalization(momentum=momentum, name=f"z{number}_norm")(z)
    a = layers.Activation(activation, name=f"a{number}")(z)
    return layers.Dropout(dropout, name=f"a{number}_drop")(a) if dropout > 0 else a
