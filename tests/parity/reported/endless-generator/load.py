import numpy as np
import tensorflow as tf

r = np.random.default_rng(0)
X = r.normal(size=(300, 4)).astype("float32")
Y = (X[:, 0] > 0).astype("int32")


def batches(start, stop):
    def forever():
        while True:  # as Keras' own fit_generator wanted it
            rows = r.integers(start, stop, 32)
            yield X[rows], Y[rows]

    return tf.data.Dataset.from_generator(
        forever,
        output_signature=(tf.TensorSpec((None, 4), tf.float32), tf.TensorSpec((None,), tf.int32)),
    )


def load():
    return {"train": batches(0, 200), "validation": batches(200, 300)}
