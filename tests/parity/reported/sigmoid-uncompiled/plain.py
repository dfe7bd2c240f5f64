import keras


def build(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(hp["units"], activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
