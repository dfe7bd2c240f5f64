import keras
from keras import ops


class F1(keras.metrics.Metric):
    def __init__(self, name="f1"):
        super().__init__(name=name)
        self.tp, self.fp, self.fn = (
            self.add_weight(name=n, initializer="zeros") for n in ("tp", "fp", "fn")
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = ops.cast(y_true, "float32"), ops.round(y_pred)
        self.tp.assign_add(ops.sum(t * p))
        self.fp.assign_add(ops.sum((1 - t) * p))
        self.fn.assign_add(ops.sum(t * (1 - p)))

    def result(self):
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn + 1e-7)


def build(hp, input_shape, num_classes):
    m = keras.Sequential(
        [
            keras.Input(input_shape),
            keras.layers.Dense(hp["units"], activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    m.compile(keras.optimizers.Adam(0.01), loss="binary_crossentropy", metrics=["accuracy", F1()])
    return m
