"""BatchNormalization over pictures and sequences on TensorFlow: Keras's arithmetic to the bit, in less time.

TensorFlow takes three to seven times as long to combine a tensor of shape (rows, …, channels) with one number a channel
as with a tensor of its own shape. So those numbers are first copied into rows as wide as a picture's, which costs
little. What is added, multiplied and summed up, and in which order, is as ``tf.nn.moments``,
``tf.nn.batch_normalization`` and their gradients have it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import tensorflow as tf

from orchestrator.training.keras_backend import is_tensorflow_on_a_cpu
from orchestrator.training.keras_internals import norm_functions

WIDEST = 4096
"""The numbers in a row that is copied, at most, where a picture's rows have more: one pixel is copied then."""


@contextmanager
def fast_channels(is_compiled: bool = False) -> Iterator[None]:
    """Have BatchNormalization layers that are traced in the block be computed so, where their inputs allow it.

    Nothing is changed on a GPU, nor where XLA makes its own program of what is traced: ``is_compiled``.
    """
    if is_compiled or not is_tensorflow_on_a_cpu():
        yield
        return
    nn = norm_functions()
    before = nn.moments, nn.batch_normalization
    nn.moments, nn.batch_normalization = _moments_or(before[0]), _normalized_or(before[1])
    try:
        yield
    finally:
        nn.moments, nn.batch_normalization = before


def _is_meant(x: Any) -> bool:
    """Return whether a tensor is of channels last with any number of rows.

    A number of rows that is known has TensorFlow divide by it as it multiplies by its inverse.
    """
    is_float = isinstance(x, tf.Tensor) and x.dtype == tf.float32
    return is_float and (x.shape.rank or 0) > 2 and x.shape[0] is None and x.shape[-1] is not None


def _moments_or(otherwise: Callable[..., Any]) -> Callable[..., Any]:
    def moments(x: Any, axes: Sequence[int], keepdims: bool = False, **options: Any) -> Any:
        if not _is_meant(x) or list(axes) != _outer(x) or keepdims or any(options.values()):
            return otherwise(x, axes, keepdims=keepdims, **options)
        with tf.name_scope("moments") as scope:
            mean = _mean(x, scope)
            variance = _mean_square(x, tf.stop_gradient(mean), scope)
            return mean, variance

    return moments


def _normalized_or(otherwise: Callable[..., Any]) -> Callable[..., Any]:
    def batch_normalization(  # noqa: PLR0913 - as Keras calls it
        x: Any,
        mean: Any,
        variance: Any,
        axis: int,
        offset: Any = None,
        scale: Any = None,
        epsilon: float = 1e-3,
    ) -> Any:
        # Of an axis by its number Keras makes tensors of one number a channel, whose gradients have other bits.
        if not _is_meant(x) or axis != -1 or mean.shape.rank != 1:
            return otherwise(x, mean, variance, axis, offset=offset, scale=scale, epsilon=epsilon)
        with tf.name_scope("batchnorm") as scope:
            inverse = tf.math.rsqrt(variance + epsilon)
            if scale is not None:
                inverse *= scale
            scaled = _multiplied(x, inverse, scope)
            # Added as Keras does: TensorFlow may have this sum and those around it in another order.
            return scaled + (offset - mean * inverse if offset is not None else -mean * inverse)

    return batch_normalization


def _outer(x: Any) -> list[int]:
    return list(range(x.shape.rank - 1))


def _spread(channels: Any, x: Any, name: str | None = None) -> Any:
    """Return a number a channel as a tensor of the shape of ``x``."""
    shape, width, count = tf.shape(x), x.shape[-2], x.shape[-1]
    wide = width is not None and width * count <= WIDEST
    row = tf.tile(channels, [width]) if wide else channels
    copies = tf.zeros([tf.reduce_prod(shape[:-2] if wide else shape[:-1])], tf.int32)
    return tf.reshape(tf.gather(row[tf.newaxis], copies), shape, name=name)


def _rows(x: Any) -> Any:
    return tf.cast(tf.reduce_prod(tf.shape(x)[:-1]), x.dtype)


def _differentiated(scope: str) -> Any:
    """Return the name scope that gradients have: TensorFlow adds up those of a tensor by the order of their names."""
    return tf.name_scope(f"gradient_tape/{scope}")


def _mean(x: Any, scope: str) -> Any:
    def mean(x: Any) -> Any:
        def gradient(wanted: Any) -> Any:
            with _differentiated(scope):
                return _spread(tf.realdiv(wanted, _rows(x)), x, "truediv")

        return tf.reduce_mean(x, _outer(x)), gradient

    return tf.custom_gradient(mean)(x)


def _mean_square(x: Any, mean: Any, scope: str) -> Any:
    def mean_square(x: Any) -> Any:
        def gradient(wanted: Any) -> Any:
            with _differentiated(scope):
                twice = _spread(2.0 * tf.realdiv(wanted, _rows(x)), x)
                return tf.multiply(twice, x - _spread(mean, x), name="mul_1")

        squared = tf.math.squared_difference(x, _spread(mean, x))
        return tf.reduce_mean(squared, _outer(x)), gradient

    return tf.custom_gradient(mean_square)(x)


def _multiplied(x: Any, channels: Any, scope: str) -> Any:
    def multiplied(x: Any, channels: Any) -> Any:
        def gradient(wanted: Any) -> Any:
            with _differentiated(f"{scope}mul_1/"):
                product = tf.multiply(wanted, _spread(channels, x), name="Mul")
                return product, tf.reduce_sum(x * wanted, _outer(x))

        return tf.multiply(x, _spread(channels, x), name="mul_1"), gradient

    return tf.custom_gradient(multiplied)(x, channels)
