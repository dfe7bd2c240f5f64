"""Keras's own random generator, from which layers draw that have none of their own: it is no variable of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import tensorflow as tf
from keras.src.random.seed_generator import global_seed_generator  # not public


def generator_state() -> list[int]:
    """Return the generator's state: a seed and a counter."""
    return [int(number) for number in tf.convert_to_tensor(global_seed_generator().state).numpy()]


def set_generator_state(state: Sequence[int]) -> None:
    """Put the generator back, in place: a new one would not be known to a traced program."""
    global_seed_generator().state.assign(list(state))


@contextmanager
def kept_generator_state() -> Iterator[None]:
    """Let the block draw and seed as it likes; the generator is put back after it."""
    before = generator_state()
    try:
        yield
    finally:
        set_generator_state(before)
