import keras


def build(hp, input_shape, num_classes):
    m = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(
                hp.get("units", 16),
                activation="relu",
                kernel_regularizer=keras.regularizers.L2(hp.get("weight_decay", 1e-5)),
            ),
            keras.layers.Dense(num_classes, activation="softmax"),
        ]
    )
    m.compile(
        keras.optimizers.Adam(hp.get("learning_rate", 1e-4), epsilon=hp.get("epsilon", 1e-3)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return m
