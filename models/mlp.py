"""A multilayer perceptron: hidden layers of z = Wx, BatchNormalization, activation; a softmax head.

For hidden layer l = 1 … L, with m the mini-batch::

    z = W a_prev                 no b: BatchNormalization would subtract it, its β replaces it
    ẑ = (z - μ) / √(σ² + ε)      μ, σ² of the mini-batch in training, moving averages afterwards
    z̃ = γ ẑ + β                  γ, β learned (Ioffe & Szegedy 2015, algorithm 1)
    a = activation(z̃)

    ŷ = softmax(W a_L + b)       one unit a class; the head keeps its b

Under the cross-entropy J the head has dJ/dz = ŷ - y. It stays exact where ŷ saturates because Keras
computes the cross-entropy from the z behind a softmax head; the head is kept in float32, also under
mixed precision, since a cast of ŷ would lose that z.

Hyperparameters: ``hidden_layers``, ``units``, ``activation``, ``dropout`` (the share of a unit's
outputs set to zero in training), ``batch_norm``, ``batch_norm_momentum`` (weight of the past in μ
and σ²). Without ``batch_norm`` the hidden layers keep their b. ``output_activation`` comes from the task:
softmax, sigmoid for flags or one unit of two classes, linear for quantities.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers


def build(hp: Mapping[str, Any], input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Return the uncompiled network for inputs of any ``input_shape``: they are flattened."""
    inputs = keras.Input(shape=input_shape, name="x")
    a = layers.Flatten(name="flat")(inputs)
    for number in range(1, int(hp.get("hidden_layers", 2)) + 1):
        a = hidden_layer(a, hp, number)
    head = hp.get("output_activation", "softmax")
    y_hat = layers.Dense(num_classes, activation=head, dtype="float32", name="y_hat")(a)
    return keras.Model(inputs, y_hat, name="mlp")


def hidden_layer(a: keras.KerasTensor, hp: Mapping[str, Any], number: int) -> keras.KerasTensor:
    """Return activation(BatchNormalization(W a)), with dropout where there is any."""
    activation = hp.get("activation", "relu")
    batch_norm = bool(hp.get("batch_norm", True))
    dropout = float(hp.get("dropout", 0.0))
    # Var(W) = 2/n for ReLU (He et al. 2015), else 2/(n + units) (Glorot & Bengio 2010)
    initializer = "he_normal" if activation == "relu" else "glorot_normal"
    z = layers.Dense(
        int(hp.get("units", 64)),
        use_bias=not batch_norm,
        kernel_initializer=initializer,
        name=f"z{number}",
    )(a)
    if batch_norm:
        momentum = float(hp.get("batch_norm_momentum", 0.9))
        z = layers.BatchNormalization(momentum=momentum, name=f"z{number}_norm")(z)
    a = layers.Activation(activation, name=f"a{number}")(z)
    return layers.Dropout(dropout, name=f"a{number}_drop")(a) if dropout > 0 else a
