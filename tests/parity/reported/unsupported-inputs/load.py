import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer


def load():
    r = np.random.default_rng(0)
    y = r.integers(0, 2, 200)
    words = [["sun", "warm", "dry"], ["rain", "cold", "wet"]]
    texts = [" ".join(r.choice(words[l] + ["day", "night", "wind"], 6)) for l in y]
    return TfidfVectorizer().fit_transform(texts), y
