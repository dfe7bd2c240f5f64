"""A saved model as it stands, on rows of another day: its outputs, and what its BatchNormalization layers see."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from orchestrator.catalog import UsersCode
from orchestrator.data import TableRecipe
from orchestrator.training.batch_norm import norm_layers
from orchestrator.training.keras_backend import as_floats, without_gradients
from orchestrator.training.keras_setup import without_remarks
from orchestrator.training.portable import as_taken

ROWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Reaction:
    """What a model makes of some rows: its outputs (rows, units), None where it has several, and its layers' inputs.

    ``layers``: by a BatchNormalization layer's name, by how many of its recorded standard deviations the mean of what
    comes in lies off its moving mean (mean over channels), and how many times as wide its spread is (geometric mean).
    """

    outputs: np.ndarray | None
    layers: Mapping[str, tuple[float, float]]


@without_remarks()
def reaction(model: Any, rows: Any, table: TableRecipe | None) -> Reaction:
    """Return what a portable model makes of raw rows. Raises TrialError for what its own code raises."""
    taken = as_taken(rows, table)
    count = len(keras.tree.flatten(taken)[0])
    outputs: list[Any] = []
    with (
        UsersCode("the old model", None),
        _watched(norm_layers(model)) as seen,
        without_gradients(),
    ):
        for start in range(0, count, ROWS_AT_ONCE):
            batch = keras.tree.map_structure(lambda a: a[start : start + ROWS_AT_ONCE], taken)  # noqa: B023
            outputs.append(model(batch, training=False))
    return Reaction(_joined(outputs), {each.name: each.gap() for each in seen if each.rows})


def _joined(outputs: list[Any]) -> np.ndarray | None:
    if not outputs or len(keras.tree.flatten(outputs[0])) > 1:
        return None
    flat = [keras.tree.flatten(each)[0] for each in outputs]
    whole = np.concatenate([as_floats(each) for each in flat])
    return whole.reshape(len(whole), -1)


class _Watched:
    """The moments of what comes into a layer, channel by channel."""

    def __init__(self, layer: Any) -> None:
        self.name = str(layer.name)
        self._layer = layer
        self.rows = 0
        self._sum: Any = 0.0
        self._squares: Any = 0.0

    def see(self, inputs: Any) -> None:
        """Take in a batch."""
        values = as_floats(inputs).astype(np.float64)
        axis = self._layer.axis % values.ndim
        flat = np.moveaxis(values, axis, -1).reshape(-1, values.shape[axis])
        self.rows += len(flat)
        self._sum = self._sum + flat.sum(axis=0)
        self._squares = self._squares + (flat**2).sum(axis=0)

    def gap(self) -> tuple[float, float]:
        """Return how far off the moving averages it was."""
        mean = self._sum / self.rows
        variance = np.maximum(self._squares / self.rows - mean**2, 0)
        moving = np.asarray(self._layer.moving_mean), np.asarray(self._layer.moving_variance)
        recorded = moving[1] + self._layer.epsilon
        off = np.abs(mean - moving[0]) / np.sqrt(recorded)
        ratio = np.exp(np.mean(np.log((variance + self._layer.epsilon) / recorded)) / 2)
        return float(off.mean()), float(ratio)


@contextmanager
def _watched(layers: list[Any]) -> Iterator[list[_Watched]]:
    """Have each layer tell what comes in, in the block."""
    found = [_Watched(layer) for layer in layers]
    for layer, watched in zip(layers, found, strict=True):
        object.__setattr__(layer, "call", _telling(layer.call, watched))
    try:
        yield found
    finally:
        for layer in layers:
            object.__delattr__(layer, "call")


def _telling(call: Callable[..., Any], watched: _Watched) -> Callable[..., Any]:
    def told(inputs: Any, *given: Any, **options: Any) -> Any:
        watched.see(inputs)
        return call(inputs, *given, **options)

    return told
