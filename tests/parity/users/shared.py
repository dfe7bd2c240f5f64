"""Objects at the top of a file, made once a process."""

import keras
from keras import layers

OPTIMIZER = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.02, 10, 0.5))
METRIC = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
LOSS = keras.losses.SparseCategoricalCrossentropy()
SCHEDULE = keras.optimizers.schedules.CosineDecay(0.05, 24)
REGULARIZER = keras.regularizers.L2(1e-3)
START = keras.initializers.HeNormal(seed=4)


def _net(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(
                hp["units"], "relu", kernel_regularizer=REGULARIZER, kernel_initializer=START
            ),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def harmless(hp, input_shape, num_classes):
    """What holds no state may be shared."""
    model = _net(hp, input_shape, num_classes)
    model.compile(keras.optimizers.SGD(SCHEDULE, momentum=0.9), LOSS, metrics=["accuracy"])
    return model


def optimizer(hp, input_shape, num_classes):
    model = _net(hp, input_shape, num_classes)
    model.compile(OPTIMIZER, LOSS, metrics=["accuracy"])
    return model


def metric(hp, input_shape, num_classes):
    model = _net(hp, input_shape, num_classes)
    model.compile(keras.optimizers.Adam(0.02), LOSS, metrics=[METRIC])
    return model
