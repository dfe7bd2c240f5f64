"""Saving tried on a fresh model, before anything is trained: what Keras cannot save or load again is known at once."""

from __future__ import annotations

import re
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from orchestrator.catalog import UsersCode
from orchestrator.errors import TrialError
from orchestrator.training.around import Around
from orchestrator.training.portable import alike, arrays, portable
from orchestrator.training.saved import load_model, objects_of
from orchestrator.training.task import LearningGoal, TrainingTask

MOST_PARAMETERS = 10_000_000
"""Of a larger model only the configuration is tried: its weights would take seconds to write and read."""
ROWS = 8


def why_not_saved(model: Any, task: TrainingTask, goal: LearningGoal) -> str:
    """Return a sentence on why a model cannot be saved as one that plain Keras loads, and what to do; else nothing."""
    reference = task.model
    try:
        with UsersCode("Keras", str(reference.file)), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _try(model, task, goal)
    except TrialError as error:
        return (
            f"{unsaved(model, reference.text, error)} The run goes on: the winner's weights are kept"
            " (best/model.weights.h5), and run.load_model() builds the model around them."
        )
    return ""


def _try(model: Any, task: TrainingTask, goal: LearningGoal) -> None:
    """Save a model and load it again, with the layers around it but those of a table's columns, never the cause."""
    whole = portable(model, replace(Around.of(task.dataset, goal), table=None))
    if model.count_params() > MOST_PARAMETERS:
        plain = keras.saving.serialize_keras_object(whole)
        keras.saving.deserialize_keras_object(plain, objects_of(task.model), safe_mode=True)
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.keras"
        whole.save(file)
        loaded = load_model(file, task.model)
    train: Any = task.dataset.train
    x = keras.tree.map_structure(lambda array: array[:ROWS], train.x)
    pairs = zip(
        *(keras.tree.flatten(arrays(one(x, training=False))) for one in (loaded, whole)),
        strict=True,
    )
    if not all(alike(*pair) for pair in pairs):
        raise TrialError("one that, loaded again, gives other figures for the same rows.")


def unsaved(model: Any, name: str, error: TrialError) -> str:
    """Return what was received in place of a model that can be saved, and what to do, from what Keras raised."""
    expected = "expected one that Keras can save and load again"
    return f"model {name}: {expected}. {_why(model, error)}."


def _why(model: Any, error: TrialError) -> str:
    """Return what was received, and what to do."""
    without = re.search(r"Object (\w+) was created", str(error.__cause__))
    layers = model._flatten_layers() if hasattr(model, "_flatten_layers") else model.layers
    if any(isinstance(layer, keras.layers.Lambda) for layer in layers):
        received = "one with a Lambda layer, whose function is not in the file"
        return f"Received: {received}. Write a Layer of your own, or keras.ops, in place of Lambda"
    if without:
        received = f"{without[1]}, a class with arguments and without get_config"
        return f"Received: {received}. Give it one, which returns what its __init__ takes"
    said = str(error).partition("its code raised ")[2].rstrip(".") or str(error).rstrip(".")
    return f"Received: {said}. Give each class of your own a get_config that returns what its __init__ takes"
