"""A user's model built in the driver, to learn of it what only building it shows."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from orchestrator.catalog import CallableReference
from orchestrator.errors import TrialError
from orchestrator.training.compiling import Built, build_model, reads_of
from orchestrator.training.generators import kept_generator_state
from orchestrator.training.hyperparameters import DEFAULTS

_NO_ROOM = ("MemoryError", "ResourceExhaustedError")


class NoRoom(Exception):
    """A model does not fit in here, which says nothing of the workers' machines."""


class TrialBuilder:
    """Builds a model again and again, as a trial would; the process is afterwards as it was, but for the imports.

    ``shape`` is (input_shape, num_classes). What the builder prints is shown the first time alone.
    """

    def __init__(self, reference: CallableReference, shape: tuple[Any, Any]) -> None:
        reference.load()  # what its file raises, it raises for every trial
        self._reference = reference
        self._shape = shape
        self._shown = False
        for gpu in tf.config.list_physical_devices("GPU"):
            with contextlib.suppress(RuntimeError):  # its owner has begun to use it
                tf.config.experimental.set_memory_growth(gpu, True)

    def build(self, hyperparameters: Mapping[str, Any], seed: int) -> Built:
        """Return the model of one trial. Raises TrialError as its trial would, NoRoom where it does not fit here."""
        aside = _unseen() if self._shown else contextlib.nullcontext()
        self._shown = True
        with kept_generator_state(), _kept_surroundings(), tf.device("CPU:0"), aside:
            try:
                asked = {**DEFAULTS, **hyperparameters}
                return build_model(self._reference, asked, seed, self._shape)
            except TrialError as error:
                if type(error.__cause__).__name__ in _NO_ROOM:
                    raise NoRoom from error
                raise


def read_by(built: Built) -> frozenset[str]:
    """Return the hyperparameters that a builder read."""
    return frozenset(reads_of(built))


def has_plain_rate(built: Built) -> bool:
    """Return whether α of the optimizer that a builder chose can be set: it follows no schedule of its own."""
    optimizer = getattr(built.model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = getattr(optimizer, "_learning_rate", None)
    return rate is not None and hasattr(rate, "assign")


@contextlib.contextmanager
def _kept_surroundings() -> Iterator[None]:
    """Put back what a build changes for the whole process: generators, and policies that a builder may set."""
    before = random.getstate(), np.random.get_state(), keras.config.dtype_policy()
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        keras.config.set_dtype_policy(before[2])


@contextlib.contextmanager
def _unseen() -> Iterator[None]:
    """Let what is printed in the block go nowhere."""
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        yield
