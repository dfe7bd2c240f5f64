"""Mixed precision, by layers and for all."""

import keras
from keras import layers


def half_layers(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu", dtype="mixed_float16"),
            layers.Dense(num_classes, activation="softmax", dtype="float32"),
        ]
    )


def half(hp, input_shape, num_classes):
    """As in Keras's guide: the policy for all; compile() wraps the optimizer in a loss scale."""
    keras.config.set_dtype_policy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.BatchNormalization(),
            layers.Dense(num_classes),
            layers.Activation("softmax", dtype="float32"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def half_uncompiled(hp, input_shape, num_classes):
    keras.config.set_dtype_policy("mixed_float16")
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(num_classes, activation="softmax", dtype="float32"),
        ]
    )


def brain(hp, input_shape, num_classes):
    policy = keras.DTypePolicy("mixed_bfloat16")
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu", dtype=policy),
            layers.Dense(num_classes, activation="softmax", dtype="float32"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def double(hp, input_shape, num_classes):
    model = keras.Sequential(
        [
            keras.Input(input_shape, dtype="float64"),
            layers.Dense(hp["units"], activation="relu", dtype="float64"),
            layers.Dense(num_classes, activation="softmax", dtype="float64"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model
