import keras


def build(hp, input_shape, num_classes):
    m = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(hp["units"], activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    m.compile(
        optimizer=keras.optimizers.Adam(hp["learning_rate"]),
        loss="binary_crossentropy",
        metrics=[keras.metrics.AUC()],
    )
    return m
