import keras


def build(hp, input_shape, num_classes):
    name = "un" + "its"
    m = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(hp[name], activation="relu"),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )
    m.summary()
    return m
