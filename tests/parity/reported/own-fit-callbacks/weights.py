import keras


class Weighted(keras.Model):
    def fit(self, *arguments, **options):
        return super().fit(*arguments, class_weight={0: 1.0, 1: 20.0}, **options)


def build(hp, input_shape, num_classes):
    x = keras.Input(input_shape)
    z = keras.layers.Dense(hp["units"], activation="relu")(x)
    m = Weighted(x, keras.layers.Dense(num_classes, activation="softmax")(z))
    m.compile(
        keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return m
