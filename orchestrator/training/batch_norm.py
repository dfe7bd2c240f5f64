"""BatchNormalization layers: momentum in a variable, averages recomputed before judging."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from orchestrator.training.keras_backend import LiveNumber
from orchestrator.training.keras_internals import layers_of
from orchestrator.training.trial_model import kept

RECALIBRATION_ROWS = 10_000
RECALIBRATION_BATCH = 256


def norm_layers(model: Any) -> list[Any]:
    """Return the BatchNormalization layers of a model and of the models in it."""
    return [
        layer for layer in layers_of(model) if isinstance(layer, keras.layers.BatchNormalization)
    ]


class LiveMomentum:
    """The momentum of a model's BatchNormalization layers, changed without a new trace."""

    def __init__(self, model: Any, asked: float) -> None:
        self.layers = norm_layers(model)
        self._own = [float(layer.momentum) for layer in self.layers]
        self._momentum = asked
        self.follows = [own == asked for own in self._own]
        pairs = zip(self.layers, self._own, strict=True)
        self.numbers = [LiveNumber(own, layer, "momentum") for layer, own in pairs]
        self.calls = [LiveNumber(0.0) for _ in self.layers]
        for layer, number in zip(self.layers, self.numbers, strict=True):
            object.__setattr__(layer, "get_config", _in_numbers(layer.get_config, number))

    def set(self, momentum: float) -> None:
        """Give ``momentum`` to the layers that took theirs from the hyperparameter; the others keep their own."""
        self._momentum = momentum
        for own, follows, number in zip(self._own, self.follows, self.numbers, strict=True):
            number.assign(momentum if follows else own)

    def restore(self) -> None:
        """Put back what ``set`` gave last."""
        self.set(self._momentum)

    @contextmanager
    def counting_calls(self) -> Iterator[None]:
        """Let each layer average over its own calls in the block: its n-th one weighs 1/n. ``restore`` ends it.

        A layer may be called several times a step, as where two inputs share it, or not at all.
        """
        for layer, momentum, calls in zip(self.layers, self.numbers, self.calls, strict=True):
            calls.assign(0.0)
            object.__setattr__(layer, "call", _counted(layer.call, calls, momentum))
        try:
            yield
        finally:
            for layer in self.layers:
                object.__delattr__(layer, "call")

    @contextmanager
    def using_batches(self) -> Iterator[None]:
        """Let each layer normalize by the batch it is given, as in training; all other layers are as they are called.

        The moving averages are put back after it.
        """
        with kept(self.averages):
            for layer in self.layers:
                object.__setattr__(layer, "call", _in_training(layer.call))
            try:
                yield
            finally:
                for layer in self.layers:
                    object.__delattr__(layer, "call")

    @contextmanager
    def recalibrating(self, model: Any) -> Iterator[None]:
        """Have the averages replaced in the block: other state that a forward pass changes is put back after it."""
        averages = {id(variable) for variable in self.averages}
        with kept([v for v in model.non_trainable_variables if id(v) not in averages]):
            yield
            self.restore()

    @property
    def averages(self) -> list[Any]:
        """Return the moving averages, which recalibration replaces."""
        return [
            average
            for layer in self.layers
            for average in (layer.moving_mean, layer.moving_variance)
        ]


def _in_numbers(get_config: Callable[[], dict[str, Any]], momentum: Any) -> Callable[[], Any]:
    """Have a layer's configuration hold its momentum as a number, so that a callback may save the model."""

    def in_numbers() -> dict[str, Any]:
        return {**get_config(), "momentum": float(momentum)}

    return in_numbers


def _counted(call: Callable[..., Any], calls: Any, momentum: Any) -> Callable[..., Any]:
    @functools.wraps(call)
    def counted(*given: Any, **options: Any) -> Any:
        momentum.assign(calls.held / (calls.held + 1.0))
        calls.assign(calls.held + 1.0)
        return call(*given, **options)

    return counted


def _in_training(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def in_training(inputs: Any, *given: Any, **options: Any) -> Any:
        return call(inputs, **{**options, "training": True})

    return in_training


def distances(layers: Sequence[Any], moving: Sequence[Any], of_rows: Sequence[Any]) -> list[Any]:
    """Return how far moving averages are from the statistics over training rows, a mapping a layer, in their order.

    Both are (mean, variance) of each layer in turn, as ``LiveMomentum.averages``. ``mean_off``: the root mean square
    over units of the distance of the means, in standard deviations of the rows; ``most`` the largest;
    ``variance_ratio``: moving by that of the rows, the geometric mean over units.
    """
    found = []
    for at, layer in enumerate(layers):
        (mean, variance), (true_mean, true_variance) = (
            (np.float64(values[2 * at]), np.float64(values[2 * at + 1]) + layer.epsilon)
            for values in (moving, of_rows)
        )
        off = np.abs(mean - true_mean) / np.sqrt(true_variance)
        ratio = np.exp(np.mean(np.log(variance / true_variance)))
        said = {"layer": str(layer.name), "units": int(off.size)}
        said |= {"mean_off": float(np.sqrt(np.mean(off**2))), "most": float(off.max())}
        found.append(said | {"variance_ratio": float(ratio)})
    return found


def recalibration_rows(rows: int) -> np.ndarray:
    """Return up to 10,000 training rows' indices, shuffled, whole batches of 256 where there are that many.

    The same at every call. "Precise" BatchNorm, Wu & Johnson 2021, section 3: 10^3 to 10^4 rows give statistics as
    good as all.
    """
    chosen = np.random.default_rng(0).permutation(rows)[:RECALIBRATION_ROWS]
    whole = len(chosen) - len(chosen) % RECALIBRATION_BATCH
    return chosen[:whole] if whole else chosen
