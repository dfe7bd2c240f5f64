"""Functions and data of a script, and of a notebook's cell, through real workers to a model."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.pages import environment
from tests.preloaded import command_line

DATA = """
import numpy as np

rng = np.random.default_rng(0)
x = rng.normal(size=(400, 4)).astype("float32")
y = np.where(x.sum(axis=1) > 0, "above", "below")
"""
SCRIPT = (
    DATA
    + '''
import json
import keras
import orchestrator
from beside import WIDTH, activated

SCALE = np.full(4, 0.5, dtype="float32")


@keras.saving.register_keras_serializable("mine")
class Scaled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * SCALE * 2


def head(x, units):
    return keras.layers.Dense(units, activation="softmax")(x)


def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = Scaled()(inputs)
    x = activated(keras.layers.Dense(hp["units"] * WIDTH)(x))
    return keras.Model(inputs, head(x, num_classes))


class Stop(keras.callbacks.Callback):
    pass


class Pipelines:
    """A callable object that returns tf.data pipelines."""

    def __call__(self):
        import tensorflow as tf

        codes = (y == "above").astype("int32")
        whole = tf.data.Dataset.from_tensor_slices((x, codes)).batch(32)
        return {"train": whole.take(9), "validation": whole.skip(9)}


CELL = """
import keras

def build(hp, input_shape, num_classes):
    layers = [keras.layers.Dense(hp["units"], activation="relu"), keras.layers.Dense(num_classes)]
    return keras.Sequential([keras.Input(input_shape), *layers])
"""

SPACE = {"units": "choice([4, 8])", "learning_rate": "loguniform(0.05, 0.5)"}
KEYS = {"search_space": SPACE, "epochs": 3, "caviar": {"num_samples": 3, "max_concurrent_trials": 1}, "progress": False}

if __name__ == "__main__":
    run = orchestrator.run(model=build, data=(x, y), callbacks=lambda hp: [Stop()], **KEYS)
    answers = run.load_model()(x[:50]).numpy()
    classes = sorted(set(y))
    found = {
        "value": run.best.value,
        "right": float((np.array(classes)[answers.argmax(axis=1)] == y[:50]).mean()),
        "failed": [trial.error for trial in run.records.trials if trial.error],
    }
    namespace = {}
    exec(CELL, namespace)
    of_cell = orchestrator.run(model=namespace["build"], data=Pipelines(), name="cell", **KEYS)
    found["of cell"] = [of_cell.status, of_cell.best.value]
    found["cell failed"] = [trial.error for trial in of_cell.records.trials if trial.error]
    print("found", json.dumps(found))
'''
)
BESIDE = """
import keras

WIDTH = 2


def activated(x):
    return keras.layers.Activation("relu")(x)
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What the script found, and the folder that it ran in."""
    folder = tmp_path_factory.mktemp("script")
    (folder / "mine.py").write_text(SCRIPT)
    (folder / "beside.py").write_text(BESIDE)
    done = subprocess.run(
        [sys.executable, "mine.py"],
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout.rpartition("found ")[2])


def test_functions_of_a_script_are_trained_and_its_model_is_loaded(found):
    _, said = found
    assert said["failed"] == []
    assert said["value"] > 0.8 and said["right"] > 0.8


def test_a_cell_without_a_file_and_a_loader_of_pipelines_work(found):
    _, said = found
    assert said["cell failed"] == []
    assert said["of cell"][0] == "finished" and said["of cell"][1] > 0.8


def test_the_command_line_shows_the_run_and_says_what_resume_needs(found):
    folder, _ = found
    events = folder / "runs" / "build" / "events.jsonl"
    kept = [line for line in events.read_text().splitlines() if '"run_finished"' not in line]
    events.write_text("\n".join(kept[:2]) + "\n")
    command = command_line("resume", "build")
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "orchestrator.resume('runs/build', model=..., callbacks=..., data=...)" in done.stderr
