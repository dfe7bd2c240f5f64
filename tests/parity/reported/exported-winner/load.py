from sklearn.datasets import load_wine


def load():
    return load_wine(return_X_y=True)
