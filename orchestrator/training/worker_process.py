"""What a worker's process does before TensorFlow's first operation."""

from __future__ import annotations

import gc
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchestrator.training.keras_settings import KerasSettings


def quiet_tensorflow() -> None:
    """Say which backend Keras takes and silence TensorFlow's log, where the user has not said otherwise.

    All that a process which is not a worker may do: threads and hidden modules are its owner's.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")


@contextmanager
def without_remarks() -> Iterator[None]:
    """Let Keras and TensorFlow not remark on how a saved model is loaded and asked, which no user can change.

    Such as that a file has no state of its optimizer, or that batches of a new size are traced.
    """
    import tensorflow as tf

    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"keras\.")
            yield
    finally:
        logger.setLevel(level)


def prepare_tensorflow(threads: int, settings: KerasSettings | None = None) -> None:
    """Import TensorFlow quietly, with ``threads`` for one operation and a GPU's memory taken as needed.

    ``settings`` are put in force in place of those of this machine.

    Keras imports matplotlib and scikit-learn when they are there, for plotting and wrappers that no trial uses: a
    second of every worker's start. They are hidden while Keras is imported and can be imported as usual afterwards.
    """
    quiet_tensorflow()
    hidden = [name for name in ("matplotlib", "sklearn") if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        import keras  # noqa: F401
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
    if settings is not None:
        settings.put_in_force()
    import tensorflow as tf

    tf.get_logger().setLevel(
        "ERROR"
    )  # it warns of many programs traced, which is what a search does
    with suppress(
        RuntimeError
    ):  # TensorFlow works in this process already: its threads stay as they are
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    # Graph rewriting costs as much as tracing itself and gains nothing on programs this small.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    # What the imports made lives as long as the process: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
