import keras


def build(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(hp["units"], activation="relu"),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )
