"""Whether a traced program draws numbers that no seed of a further trial would reach."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

_OPERATIONS = (
    "Random",
    "ParameterizedTruncatedNormal",
    "TruncatedNormal",
    "Multinomial",
    "PyFunc",
    "EagerPyFunc",
)
"""TensorFlow's own random operations, which count for themselves, and Python called from a graph."""


class Drawing:
    """What is seen of it while a program is traced.

    Keras's layers draw from variables. NumPy's and Python's generators are read when a step is traced, so that what
    they gave is a constant of the program; TensorFlow's operations have states that nobody can put back.
    """

    def __init__(self) -> None:
        self.seen = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Notice whether the block draws from NumPy's or Python's own generator."""
        before = _generators()
        yield
        self.seen = self.seen or _generators() != before

    def look_for_it_in(self, graph: Any) -> None:
        """Notice TensorFlow's random operations in a graph and in the functions that it calls."""
        kinds = {operation.type for operation in graph.get_operations()}
        for function in graph._functions.values():
            kinds |= {node.op for node in function.cached_definition.node_def}
        self.seen = self.seen or any(kind.startswith(_OPERATIONS) for kind in kinds)


def _generators() -> Any:
    _, keys, position, *_ = np.random.get_state(legacy=True)
    return random.getstate(), position, np.asarray(keys).tobytes()
