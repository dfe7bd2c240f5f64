"""A base model made at the top of the file, which every trial trains on."""

import keras
from keras import layers

BASE = keras.Sequential([keras.Input((6,)), layers.Dense(12, activation="relu")], name="base")


def build(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            BASE,
            layers.Dense(hp["units"]),
            layers.Dense(num_classes, "softmax"),
        ]
    )
