"""Saving a model: tried before anything is trained, done for the winner; where Keras cannot, its weights are kept."""

from __future__ import annotations

import json
import re
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.errors import RecordError, TrialError
from orchestrator.redaction import redacted, restored
from orchestrator.training.building import build_model, set_followed_momentum
from orchestrator.training.hyperparameters import batch_norm_momentum
from orchestrator.training.keras_backend import inference
from orchestrator.training.keras_internals import layers_of
from orchestrator.training.portable import (
    CLASS_NAMES,
    alike,
    answers_of,
    arrays,
    compile_portable,
    portable,
    rows_to_compare,
    unit_of,
    write_metadata,
)
from orchestrator.training.process_state import settle
from orchestrator.training.saved_model import (
    RECIPE,
    WEIGHTS,
    Transforms,
    are_kept,
    load_model,
    objects_of,
)
from orchestrator.training.task import Kind, LearningGoal, Shape, TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import Built, arrays_of, assign_all


@dataclass(frozen=True)
class ModelRecipe:
    """What a builder was called with, and the transforms beside its model; ``units`` is its third argument."""

    given: Mapping[str, Any]
    seed: int
    units: int
    kind: Kind | None
    transforms: Transforms

    def build(self, reference: CallableReference) -> Built:
        """Return the model, freshly built."""
        shape = Shape(self.transforms.shape, self.units)
        return build_model(reference, self.given, self.seed, shape, self.kind)

    def keep(self, model: Any, folder: Path) -> None:
        """Write a model's weights, and this, into a folder."""
        model.save_weights(folder / WEIGHTS)
        plain = {
            "hyperparameters": dict(self.given),
            "seed": self.seed,
            "units": self.units,
            "kind": self.kind,
            "around": self.transforms.to_plain(),
        }
        (folder / RECIPE).write_text(json.dumps(redacted(plain)) + "\n", encoding="utf-8")


def save_model(trainer: Trainer, path: Path) -> None:
    """Save the current model as one that plain Keras loads and that takes the user's own rows; see ``portable``.

    Raises TrialError where the user's model cannot be saved, or the file does not give what the model gives; its
    weights are then kept beside ``path``, with all that builds it again, and nothing is at ``path``.
    """
    task, trained = trainer.task, trainer.backend.compiled.model
    settle(task.model)
    how = recipe_of(trainer)
    built = how.build(task.model)
    set_followed_momentum(built, batch_norm_momentum(trainer.steps_per_epoch))
    assign_all(built.model.variables, arrays_of(trained.variables))
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with UsersCode(f"saving model {task.model.text}", task.model.runs_in):
            whole = portable(built.model, how.transforms)
            compile_portable(whole, built, trainer.hyperparameters, trainer.backend.compiled.goal)
            whole.save(partial)
            _check_file(partial, trainer, how.transforms)
        classes = list(task.dataset.classes)
        write_metadata(partial, {CLASS_NAMES: classes} if classes else {})
        partial.replace(path)
    except TrialError as error:
        if isinstance(error.__cause__, OSError):
            raise
        how.keep(built.model, path.parent)
        if error.__cause__ is None:
            raise
        raise TrialError(unsaved(built.model, task.model.text, error)) from error.__cause__
    finally:
        partial.unlink(missing_ok=True)


def recipe_of(trainer: Trainer) -> ModelRecipe:
    """Return what builds a trainer's model again."""
    transforms = Transforms.of(trainer.task.dataset, trainer.backend.compiled.goal)
    task = trainer.task
    return ModelRecipe(trainer.given, trainer.seed, task.shape[1], task.kind, transforms)


def _check_file(path: Path, trainer: Trainer, transforms: Transforms) -> None:
    """Raise TrialError unless a saved file, loaded again, gives on raw rows what the examined model gives."""
    reference = trainer.task.model
    loaded = load_model(path, reference)
    x, raw = rows_to_compare(trainer.task.dataset, transforms)
    outputs = arrays(inference(trainer.backend.compiled.model)(x))
    expected = keras.tree.flatten(answers_of(outputs, transforms))
    found = keras.tree.flatten(inference(loaded)(raw))
    unit = unit_of(transforms)
    if not all(alike(*pair, unit) for pair in zip(found, expected, strict=True)):
        raise TrialError(
            f"saving model {reference.text}: expected a file that gives what the model gives. Received: one that,"
            " loaded again, gives other figures for the same rows: something of the model is not in what Keras saves"
            " of it."
        )


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
            f"{unsaved(model, reference.text, error)} The run continues: the winner's weights are kept"
            " (best/model.weights.h5), and run.load_model() builds the model around them."
        )
    return ""


def _try(model: Any, task: TrainingTask, goal: LearningGoal) -> None:
    """Save a model and load it again, with the layers around it but those of a table's columns, never the cause."""
    whole = portable(model, replace(Transforms.of(task.dataset, goal), table=None))
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
        *(keras.tree.flatten(arrays(inference(one)(x))) for one in (loaded, whole)),
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
    if any(isinstance(layer, keras.layers.Lambda) for layer in layers_of(model)):
        received = "one with a Lambda layer, whose function is not in the file"
        return f"Received: {received}. Write a Layer of your own, or keras.ops, in place of Lambda"
    if without:
        received = f"{without[1]}, a class with arguments and without get_config"
        return f"Received: {received}. Give it one, which returns what its __init__ takes"
    said = str(error).partition("its code raised ")[2].rstrip(".") or str(error).rstrip(".")
    return f"Received: {said}. Give each class of your own a get_config that returns what its __init__ takes"


def load_winner(folder: Path, builder: CallableReference) -> Any:
    """Return the model in a run's ``best``: its file, or what its builder builds around the weights that were kept."""
    if not (folder / "model.keras").exists() and are_kept(folder):
        return rebuilt(folder, builder)
    return load_model(folder / "model.keras", builder)


def rebuilt(folder: Path, reference: CallableReference) -> Any:
    """Return the model whose weights a folder holds, built again by its builder, with its transforms.

    Raises RecordError where the weights are not those of what the builder builds now.
    """
    plain = restored(json.loads((folder / RECIPE).read_text(encoding="utf-8")))
    transforms = Transforms.from_plain(plain["around"])
    given, seed = plain["hyperparameters"], plain["seed"]
    recipe = ModelRecipe(given, seed, plain["units"], plain["kind"], transforms)
    model = recipe.build(reference).model
    try:
        model.load_weights(folder / WEIGHTS)
    except (ValueError, KeyError, OSError) as error:
        said = str(error).strip().splitlines()
        raise RecordError(
            f"{folder / WEIGHTS}: expected weights of the model that {reference.text} builds."
            f" Received: others ({said[0] if said else type(error).__name__}); has its code changed since?"
        ) from None
    return portable(model, transforms)
