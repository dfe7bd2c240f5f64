"""Keras's own random generator, from which layers draw that have none of their own: it is no variable of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
from keras.src.backend.common import global_state  # not public
from keras.src.random.seed_generator import global_seed_generator  # not public

from orchestrator.training.settings import GENERATOR

_first: list[Any] = []


def _generator() -> Any:
    """Return the process's one generator, in Keras's place for it: a new one would not be known to a traced program."""
    if not _first:
        _first.append(global_seed_generator())
    global_state.set_global_attribute(GENERATOR, _first[0])
    return _first[0]


def generator_state() -> list[int]:
    """Return the generator's state: a seed and a counter."""
    return [int(number) for number in tf.convert_to_tensor(_generator().state).numpy()]


def set_generator_state(state: Sequence[int]) -> None:
    """Put the generator back, in place."""
    _generator().state.assign(list(state))


@contextmanager
def own_generator() -> Iterator[None]:
    """Let the block put another generator in its place, as ``keras.utils.set_random_seed`` does: its state is taken."""
    _generator()
    yield
    theirs, ours = global_seed_generator(), _generator()
    if theirs is not ours:
        ours.state.assign(theirs.state)


@contextmanager
def kept_generator_state() -> Iterator[None]:
    """Let the block draw and seed as it likes; the generator is put back after it."""
    before = generator_state()
    try:
        yield
    finally:
        set_generator_state(before)
