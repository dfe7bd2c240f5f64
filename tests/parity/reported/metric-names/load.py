import numpy as np


def load():
    r = np.random.default_rng(0)
    x = r.normal(size=(600, 6)).astype("float32")
    p = 1 / (1 + np.exp(-3 * x[:, 0] + 2 * x[:, 1]))
    return x, (r.random(600) < p).astype(int)
