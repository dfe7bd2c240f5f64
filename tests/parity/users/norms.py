"""Normalisation layers of every kind, and noise."""

import keras
import numpy as np
from keras import layers

NORMS = {
    "batch": lambda: layers.BatchNormalization(),
    "batch_quick": lambda: layers.BatchNormalization(momentum=0.5, center=False),
    "layer": lambda: layers.LayerNormalization(),
    "group": lambda: layers.GroupNormalization(groups=2),
    "rms": lambda: layers.RMSNormalization(),
    "unit": lambda: layers.UnitNormalization(),
}


def normed(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"]),
            NORMS[hp["norm"]](),
            layers.ReLU(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def spectral(hp, input_shape, num_classes):
    """Its layer keeps a vector from step to step."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.SpectralNormalization(layers.Dense(hp["units"], activation="relu")),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def adapted(hp, input_shape, num_classes):
    """Scaled inside, from rows that the builder has."""
    norm = layers.Normalization()
    norm.adapt(np.random.default_rng(0).normal(2, 3, (100, input_shape[0])).astype("float32"))
    return keras.Sequential(
        [
            keras.Input(input_shape),
            norm,
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def asked_momentum(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"]),
            layers.BatchNormalization(momentum=hp["batch_norm_momentum"]),
            layers.ReLU(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def dropouts(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="selu", kernel_initializer="lecun_normal"),
            layers.AlphaDropout(0.1, seed=3),
            layers.GaussianDropout(0.2, seed=4),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dropout(0.3, seed=5),
            layers.Dropout(0.3),
            layers.GaussianNoise(0.1),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


@keras.saving.register_keras_serializable("parity")
class OwnNoise(layers.Layer):
    """Draws from a generator of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator(12)

    def call(self, x, training=False):
        if not training:
            return x
        return x + 0.3 * keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)


def own_noise(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            OwnNoise(),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


@keras.saving.register_keras_serializable("parity")
class KerasNoise(layers.Layer):
    """Draws from Keras's own generator."""

    def call(self, x, training=False):
        return x + 0.3 * keras.random.normal((x.shape[-1],)) if training else x


def keras_noise(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            KerasNoise(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def drawn_constant(hp, input_shape, num_classes):
    """A projection drawn by the builder: as much the trial's own as its first weights."""
    projection = np.random.normal(0, 1, (input_shape[0], hp["units"])).astype("float32")

    @keras.saving.register_keras_serializable("parity")
    class Projection(layers.Layer):
        def call(self, x):
            return keras.ops.cos(keras.ops.matmul(x, projection))

    return keras.Sequential(
        [keras.Input(input_shape), Projection(), layers.Dense(num_classes, activation="softmax")]
    )


def seeded_weights(hp, input_shape, num_classes):
    start = keras.initializers.GlorotNormal(seed=7)
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu", kernel_initializer=start),
            layers.Dense(num_classes, "softmax", kernel_initializer="truncated_normal"),
        ]
    )
