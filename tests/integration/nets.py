"""Models for tests, as text of a file ``net.py`` that imports keras."""

from __future__ import annotations

FAILS = """
    class Failing(keras.Sequential):
        def train_step(self, data):
            raise ZeroDivisionError("nothing to train by")

    def build(hp, input_shape, num_classes):
        return Failing([
            keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes, activation="softmax")
        ])
"""
"""One that can be built, and fails as soon as it trains."""
