import keras


def build(hp, input_shape, num_classes):
    m = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(hp["units"], activation="relu"),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )
    m.compile(keras.optimizers.Adam(0.01), loss="categorical_crossentropy", metrics=["accuracy"])
    return m
