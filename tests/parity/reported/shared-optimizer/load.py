from sklearn.datasets import load_digits


def load():
    d = load_digits()
    return d.data.astype("float32"), d.target
