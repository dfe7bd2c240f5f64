"""A trial's fresh state without another model: its structure's initialisers, from the trial's seed, as one program."""

from __future__ import annotations

import copy
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from orchestrator.training.keras_backend import array_of
from orchestrator.training.keras_internals import rate_held_by, seed_is_drawn
from orchestrator.training.program_store import KeptProgram, StoredPrograms, handle_of, named
from orchestrator.training.trial_model import Built, Compiled, Origin, arrays_of, assign_all

MOST_BYTES = 2**26
"""Of values that no seed changes: a model that holds more, such as pretrained weights, is built for each trial."""


class InitialState:
    """Puts a program's model and optimizer into the state that its builder leaves them in."""

    def __init__(
        self, compiled: Compiled, built: Built, stored: StoredPrograms | None = None
    ) -> None:
        """Take the state as it is now, which is that of ``built``."""
        assert built.origin is not None  # noqa: S101
        self._compiled = compiled
        origin, made = built.origin, built.model.variables
        values = arrays_of(self._variables)
        rest = [None] * (len(values) - len(made))  # the optimizer's: no seed is drawn for those
        starts = [
            _Fixed(value) if variable is None else _value(variable, value, origin)
            for variable, value in zip([*made, *rest], values, strict=True)
        ]
        pairs = [*zip(self._variables, starts, strict=True)]
        self._fixed = [(each, start) for each, start in pairs if isinstance(start, _Fixed)]
        self._drawn = [(each, start) for each, start in pairs if not isinstance(start, _Fixed)]
        self._put = self._program(len(origin.seeds), stored) if self._drawn else None
        self._stored = stored
        described = [
            value.tobytes() if isinstance(start, _Fixed) else start.seed
            for value, start in zip(values, starts, strict=True)
        ]
        self._described = f"initial state {hashlib.sha256(repr(described).encode()).hexdigest()}"

    def _program(self, seeds: int, stored: StoredPrograms | None) -> Any:
        signature = [tf.TensorSpec((seeds,), tf.int64)]
        program = tf.function(self._assign, input_signature=signature, autograph=False)
        if stored is None:
            return program
        name = f"initial {signature}"
        names = functools.partial(named, "variable", self._variables)
        return KeptProgram(name, program, stored, names, lambda: True)

    @property
    def _variables(self) -> list[Any]:
        """Return the variables of the model and of its optimizer, but for an α that training sets."""
        compiled = self._compiled
        rate = None if compiled.optimizer is None else rate_held_by(compiled.optimizer.keras)
        theirs = compiled.model.optimizer.variables
        return [*compiled.model.variables, *(each for each in theirs if each is not rate)]

    @property
    def is_small(self) -> bool:
        """Return whether there is room for what no seed changes."""
        return sum(start.bytes for _, start in self._fixed) <= MOST_BYTES

    def put(self, seeds: Sequence[int]) -> None:
        """Have the state that follows from these seeds."""
        for variable, start in self._fixed:
            tf.raw_ops.AssignVariableOp(resource=handle_of(variable), value=start.tensor)
        if self._put is not None:
            self._put(tf.constant(seeds, tf.int64))

    @property
    def is_verified(self) -> bool:
        """Return whether another worker has seen that other seeds' builds leave what ``put`` makes of them."""
        return self._stored is not None and self._stored.is_known(self._described)

    def is_what(self, seeds: Sequence[int]) -> bool:
        """Return whether the state, a freshly built model's, is to the bit what ``put`` makes of these seeds."""
        variables = self._variables
        before = arrays_of(variables)
        self.put(seeds)
        same = all(
            a.tobytes() == b.tobytes() for a, b in zip(before, arrays_of(variables), strict=True)
        )
        assign_all(variables, before)
        if same and self._stored is not None:
            self._stored.note(self._described)
        return same

    def _assign(self, seeds: Any) -> dict[str, Any]:
        for variable, start in self._drawn:
            variable.assign(start.value(seeds[start.seed]))
        return {}


def _value(variable: Any, value: np.ndarray, origin: Origin) -> _Drawn | _Fixed:
    """Return how a variable's first value comes about; ``value`` is what it was."""
    initialiser: Any = origin.initialisers.get(id(variable))
    shape, dtype = variable.shape, variable.dtype
    if (
        seed_is_drawn(initialiser)
        and initialiser.seed in origin.seeds
        and array_of(initialiser(shape, dtype=dtype)).tobytes() == value.tobytes()
    ):
        at = origin.seeds.index(initialiser.seed)
        return _Drawn(at, lambda seed: _seeded(initialiser, seed)(shape, dtype=dtype))
    is_generators = value.shape == (2,) and value.dtype == np.int64
    if is_generators and value[1] == 0 and value[0] in origin.seeds:
        return _Drawn(origin.seeds.index(int(value[0])), lambda seed: tf.stack([seed, 0]))
    return _Fixed(value)


@dataclass(frozen=True)
class _Drawn:
    """A value that follows from one of the seeds that are drawn, given by its number."""

    seed: int
    value: Callable[[Any], Any]


SMALL = 2**20


class _Fixed:
    """A value that no seed changes. Many zeros, as an optimizer's slots are, are not held."""

    def __init__(self, value: np.ndarray) -> None:
        are_many_zeros = value.nbytes > SMALL and not value.tobytes().strip(b"\0")
        self._zeros = (value.shape, value.dtype) if are_many_zeros else None
        self._held = None if are_many_zeros else tf.constant(value)
        self.bytes = 0 if are_many_zeros else value.nbytes

    @property
    def tensor(self) -> Any:
        """Return it."""
        return self._held if self._zeros is None else tf.zeros(*self._zeros)


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
