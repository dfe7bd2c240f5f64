import keras

LOSS = "sparse_categorical_crossentropy"


def build(hp, input_shape, num_classes):
    m = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(hp["units"], activation="relu"),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )
    m.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 40, 0.5)),
        LOSS,
        metrics=["accuracy"],
    )
    return m
