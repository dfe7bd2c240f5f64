"""A trial's fresh state without another model: its structure's initialisers, from the trial's seed, as one program."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from orchestrator.training.keras_backend import array_of
from orchestrator.training.keras_internals import seed_is_drawn
from orchestrator.training.program_store import KeptProgram, StoredPrograms, named
from orchestrator.training.trial_model import Built, Compiled, Origin, arrays_of, assign_all

MOST_BYTES = 2**26
"""Of values that no seed changes: a model that holds more, such as pretrained weights, is built for each trial."""

Value = Callable[[Any], Any]
"""Returns a variable's first value, of the seeds that its builder's layers draw."""


class InitialState:
    """Puts a program's model and optimizer into the state that its builder leaves them in."""

    def __init__(
        self, compiled: Compiled, built: Built, stored: StoredPrograms | None = None
    ) -> None:
        """Take the state as it is now, which is that of ``built``."""
        assert built.origin is not None  # noqa: S101
        self._compiled = compiled
        origin, values = built.origin, arrays_of(compiled.model.variables)
        variables = zip(built.model.variables, values, strict=True)
        self._model = [_value(each, value, origin) for each, value in variables]
        theirs = compiled.model.optimizer.variables if compiled.optimizer is None else ()
        self._optimizer = [_Fixed(value) for value in arrays_of(theirs)]
        self._fixed = [
            each.tensor for each in (*self._model, *self._optimizer) if isinstance(each, _Fixed)
        ]
        self._put = self._program(len(origin.seeds), stored)

    def _program(self, seeds: int, stored: StoredPrograms | None) -> Any:
        fixed = [tf.TensorSpec(each.shape, each.dtype) for each in self._fixed]
        signature = [tf.TensorSpec((seeds,), tf.int64), fixed]
        program = tf.function(self._assign, input_signature=signature, autograph=False)
        if stored is None:
            return program
        name = f"initial {signature}"
        names = functools.partial(named, "variable", self._variables)
        return KeptProgram(name, program, stored, names, lambda: True)

    @property
    def _variables(self) -> list[Any]:
        """Return the variables of the model and of its optimizer."""
        model = self._compiled.model
        return [*model.variables, *model.optimizer.variables]

    @property
    def is_small(self) -> bool:
        """Return whether there is room for what no seed changes."""
        fixed = [each for each in (*self._model, *self._optimizer) if isinstance(each, _Fixed)]
        return sum(each.bytes for each in fixed) <= MOST_BYTES

    def put(self, seeds: Sequence[int]) -> None:
        """Have the state that follows from these seeds."""
        self._put(tf.constant(seeds, tf.int64), self._fixed)

    def is_what(self, seeds: Sequence[int]) -> bool:
        """Return whether the state, a freshly built model's, is to the bit what ``put`` makes of these seeds."""
        variables = self._variables
        before = arrays_of(variables)
        self.put(seeds)
        same = all(
            a.tobytes() == b.tobytes() for a, b in zip(before, arrays_of(variables), strict=True)
        )
        assign_all(variables, before)
        return same

    def _assign(self, seeds: Any, fixed: Sequence[Any]) -> dict[str, Any]:
        compiled, rest = self._compiled, iter(fixed)
        variables = compiled.model.variables
        if compiled.optimizer is None:
            variables = self._variables
        for variable, value in zip(variables, (*self._model, *self._optimizer), strict=True):
            variable.assign(next(rest) if isinstance(value, _Fixed) else value(seeds))
        if compiled.optimizer is not None:
            compiled.optimizer.clear(compiled.model.optimizer)
        return {}


def _value(variable: Any, value: np.ndarray, origin: Origin) -> Value | _Fixed:
    """Return how a variable's first value comes about; ``value`` is what it was."""
    initialiser: Any = origin.initialisers.get(id(variable))
    shape, dtype = variable.shape, variable.dtype
    if (
        seed_is_drawn(initialiser)
        and initialiser.seed in origin.seeds
        and array_of(initialiser(shape, dtype=dtype)).tobytes() == value.tobytes()
    ):
        at = origin.seeds.index(initialiser.seed)
        return lambda seeds: _seeded(initialiser, seeds[at])(shape, dtype=dtype)
    is_generators = value.shape == (2,) and value.dtype == np.int64
    if is_generators and value[1] == 0 and value[0] in origin.seeds:
        at = origin.seeds.index(int(value[0]))
        return lambda seeds: tf.stack([seeds[at], 0])
    return _Fixed(value)


class _Fixed:
    """A value that no seed changes."""

    def __init__(self, value: np.ndarray) -> None:
        self.bytes = value.nbytes
        self.tensor = tf.constant(value)


def _seeded(initialiser: Any, seed: Any) -> Any:
    """Return an initialiser that draws from another seed, one in a program."""
    other = copy.copy(initialiser)
    other.seed = _Seed(seed)
    return other


class _Seed(keras.random.SeedGenerator):  # type: ignore[misc]
    """A number for a seed, as Keras takes one, in a program."""

    def __init__(self, seed: Any) -> None:
        self._seed = seed

    def next(self, ordered: bool = True) -> Any:
        """Return what Keras makes of a number."""
        return tf.stack([self._seed, 0])
