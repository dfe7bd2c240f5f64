"""Trials that Keras's `fit` trains, against plain Keras: ``make bench-fit``. One process, both in turns.

Each case is a model and data as users write them. Both train blocks of epochs with the validation after each, ours as a
worker does: epoch by epoch, whatever its path. Processor time and the clock are both told; the ratios are of medians.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

from orchestrator.catalog import CallableReference, find_callbacks, find_data
from orchestrator.config import DataOptions
from orchestrator.data import load_dataset
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch

BATCH, ROWS = 32, 4096
FILE = f"""
import keras
import numpy as np
from keras import layers

rng = np.random.default_rng(0)
y = rng.integers(0, 10, {ROWS + 1024}).astype("int32")
x = (rng.normal(size=(10, 64))[y] + 2 * rng.normal(size=(len(y), 64))).astype("float32")
train, validation = (x[:{ROWS}], y[:{ROWS}]), (x[{ROWS}:], y[{ROWS}:])


class OwnStep(keras.Model):
    def train_step(self, data):
        return super().train_step(data)


class OwnFit(keras.Model):
    def fit(self, *given, **options):
        return super().fit(*given, **options)


def net(kind):
    inputs = keras.Input((64,))
    hidden = inputs
    for _ in range(3):
        hidden = layers.Dense(256, activation="relu")(hidden)
    model = kind(inputs, layers.Dense(10, activation="softmax")(hidden))
    model.compile(keras.optimizers.SGD(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def plain(hp, input_shape, num_classes):
    return net(keras.Model)


def own_step(hp, input_shape, num_classes):
    return net(OwnStep)


def own_fit(hp, input_shape, num_classes):
    return net(OwnFit)


def callbacks(hp):
    return [keras.callbacks.TerminateOnNaN(), keras.callbacks.ReduceLROnPlateau()]


def rows():
    return {{"train": train, "validation": validation}}


def pipeline():
    import tensorflow as tf

    def split(part):
        return tf.data.Dataset.from_tensor_slices(part).batch({BATCH}).prefetch(2)

    return {{"train": split(train), "validation": split(validation)}}


def kept():
    return pipeline()


def generator():
    import tensorflow as tf

    def split(part):
        def each():
            for start in range(0, len(part[0]), {BATCH}):
                yield part[0][start : start + {BATCH}], part[1][start : start + {BATCH}]

        signature = (tf.TensorSpec((None, 64), "float32"), tf.TensorSpec((None,), "int32"))
        made = tf.data.Dataset.from_generator(each, output_signature=signature)
        steps = -(-len(part[0]) // {BATCH})
        return made.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(2)

    return {{"train": split(train), "validation": split(validation)}}
"""
CASES = {
    "tf.data pipeline": ("plain", "pipeline", False),
    "tf.data, kept": ("plain", "kept", False),
    "generator": ("plain", "generator", False),
    "own train_step": ("own_step", "rows", False),
    "callbacks": ("plain", "rows", True),
    "own fit": ("own_fit", "rows", False),
}


def main() -> None:
    """Print a row a case: what an epoch costs by plain `fit` and by ours, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4, help="in a turn")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # Keras's, of a stream that is not repeated
    print("case              path      plain cpu s  ours cpu s  ratio  plain s  ours s  ratio")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "mine.py")
        file.write_text(textwrap.dedent(FILE))
        for case in asked.cases:
            compare(case, file, asked.turns, asked.epochs)


def compare(case: str, file: Path, turns: int, epochs: int) -> None:
    """Print a case's row."""
    model, data, has_callbacks = CASES[case]
    trainer = ours(file, model, data, has_callbacks, (turns + 1) * epochs)
    by_fit = plain(file, model, data, has_callbacks)
    spent: dict[str, list[tuple[float, float]]] = {"plain": [], "ours": []}
    for _ in range(turns + 1):  # the first is for tracing
        spent["plain"].append(timed(lambda: by_fit(epochs), epochs))
        spent["ours"].append(timed(lambda: [train_epoch(trainer) for _ in range(epochs)], epochs))
    cpu, clock = (
        {who: statistics.median(each[at] for each in found[1:]) for who, found in spent.items()}
        for at in (0, 1)
    )
    print(
        f"{case:16}  {trainer.backend.path:8}  {cpu['plain']:11.3f}  {cpu['ours']:10.3f}"
        f"  {cpu['ours'] / cpu['plain']:5.2f}  {clock['plain']:7.3f}  {clock['ours']:6.3f}"
        f"  {clock['ours'] / clock['plain']:5.2f}",
        flush=True,
    )
    trainer.leave()


def timed(train: Callable[[], Any], epochs: int) -> tuple[float, float]:
    """Return the processor time and the clock's of an epoch."""
    gc.collect()
    cpu, clock = time.process_time(), time.perf_counter()
    train()
    return (time.process_time() - cpu) / epochs, (time.perf_counter() - clock) / epochs


def ours(file: Path, model: str, data: str, has_callbacks: bool, epochs: int) -> Trainer:
    """Return a worker's trainer that has begun a trial."""
    source = f"{file}:{data}"
    options = DataOptions(source=source, stream=False if data == "kept" else "auto").for_model(True)
    dataset = load_dataset(find_data(source, file.parent), options, 0, "auto")
    reference = CallableReference("file", str(file), model, f"./mine.py:{model}")
    callbacks = find_callbacks(f"{file}:callbacks", file.parent) if has_callbacks else None
    trainer = Trainer(TrainingTask(reference, dataset, epochs, callbacks=callbacks))
    trainer.begin({"batch_size": BATCH}, 1)
    return trainer


def plain(file: Path, model: str, data: str, has_callbacks: bool) -> Callable[[int], Any]:
    """Return plain Keras: a function that trains so many more epochs in one call of `fit`."""
    import runpy

    mine = runpy.run_path(str(file))
    net, parts = mine[model]({}, (64,), 10), mine[data]()
    options: dict[str, Any] = {"validation_data": parts["validation"], "verbose": 0}
    if has_callbacks:
        options["callbacks"] = mine["callbacks"]({})
    if data == "rows":
        return lambda epochs: net.fit(*parts["train"], batch_size=BATCH, epochs=epochs, **options)
    return lambda epochs: net.fit(parts["train"], epochs=epochs, **options)


if __name__ == "__main__":
    main()
