import keras

keras.mixed_precision.set_global_policy("mixed_float16")


def build(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(32, activation="relu"),
            keras.layers.Dense(num_classes, activation="softmax", dtype="float32"),
        ]
    )
