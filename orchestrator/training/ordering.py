"""The order in which Keras's own ``fit`` takes shuffled rows, made a function of the epoch.

Keras draws it from TensorFlow's generator, whose state nobody can put back: a trial could neither be repeated on a warm
worker nor go on after an interruption. Nothing else of ``fit`` is touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter  # not public

Order = Callable[[int], np.ndarray]
"""Returns the order of so many rows in the epoch that is about to be trained."""

_asked = threading.local()
_batches_of = ArrayDataAdapter.get_tf_dataset


@contextmanager
def rows_in(order: Order) -> Iterator[None]:
    """Let ``fit`` in this block, in this thread, shuffle rows by ``order``, which is asked as each epoch begins."""
    before = getattr(_asked, "order", None)
    _asked.order = order
    try:
        yield
    finally:
        _asked.order = before


def _batches(adapter: Any) -> Any:
    order: Order | None = getattr(_asked, "order", None)
    if order is None or adapter._shuffle is not True:
        return _batches_of(adapter)
    rows = adapter._num_samples

    def ordered(indices: Any, *given: Any, **options: Any) -> Any:
        drawn = tf.numpy_function(lambda: order(rows).astype(np.int64), [], tf.int64)
        return tf.ensure_shape(drawn, (rows,))

    shuffle = tf.random.shuffle
    tf.random.shuffle = ordered
    try:
        return _batches_of(adapter)
    finally:
        tf.random.shuffle = shuffle


ArrayDataAdapter.get_tf_dataset = _batches
