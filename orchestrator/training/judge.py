"""The winner's last examination: its averages, its scores on validation and test rows, and the file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import yaml

from orchestrator.catalog import UsersCode
from orchestrator.errors import TrialError
from orchestrator.records import DiskFull, Mode, is_full, lies_below, made, write_atomically
from orchestrator.redaction import redacted
from orchestrator.training.around import Around
from orchestrator.training.carrying import finalise
from orchestrator.training.compiling import set_followed_momentum
from orchestrator.training.hyperparameters import batch_norm_momentum
from orchestrator.training.kept import ModelRecipe
from orchestrator.training.portable import (
    alike,
    answers_of,
    arrays,
    compile_portable,
    portable,
    rows_to_compare,
    unit_of,
    write_class_names,
)
from orchestrator.training.program import arrays_of, assign_all
from orchestrator.training.recalibration import examined
from orchestrator.training.saved import load_model
from orchestrator.training.settings import settle
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_save import unsaved
from orchestrator.trials import load_checkpoint


def judge(
    trainer: Trainer,
    checkpoint_file: Path,
    best: Path,
    metric: str = "val_loss",
    mode: Mode = "min",
) -> dict[str, Any]:
    """Examine a checkpointed model and save it under ``best``.

    Returns {trial, epoch, hyperparameters, validation, test, task, sha256} and what recalibration came to
    (``examined``), by ``metric``: each split's value a mapping of metrics, the hyperparameters those in force at that
    epoch, the task what it learned. The saved ``model.keras``, whose ``sha256`` that is, needs nothing of ours to be
    loaded. ``test`` is None where the data has no test split; ``not_saved`` says why where the user's model cannot be
    saved, which costs no score. Raises DiskFull where it does not fit, another OSError where ``best`` takes nothing.
    """
    checkpoint = load_checkpoint(checkpoint_file)
    trainer.resume(checkpoint)
    learned = trainer.learner.compiled.goal.task
    finalise(trainer.learner.compiled)
    metrics = {
        "trial": checkpoint.about.get("trial"),
        "epoch": checkpoint.about["epoch"],
        "hyperparameters": checkpoint.about.get("chosen", {}),
        **examined(trainer, metric, mode),
        "task": {"kind": learned.kind, "own": learned.compiled_by_user},
    }
    made(best)
    metrics |= _saved(trainer, checkpoint_file, best)
    metrics = dict(redacted(metrics))
    hyperparameters = yaml.safe_dump(metrics["hyperparameters"], sort_keys=False)
    write_atomically(best / "hyperparameters.yaml", hyperparameters)
    write_atomically(best / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def _saved(trainer: Trainer, checkpoint_file: Path, best: Path) -> dict[str, str]:
    """Save the model; return {sha256} of its file, or {not_saved} with the reason. Raises as ``judge`` does."""
    try:
        save_model(trainer, best / "model.keras")
    except TrialError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and is_full(cause):
            raise DiskFull(best / "model.keras", checkpoint_file.stat().st_size) from None
        if isinstance(cause, OSError) and lies_below(cause, best):
            raise cause from None
        return {"not_saved": str(error)}
    return {"sha256": hashlib.sha256((best / "model.keras").read_bytes()).hexdigest()}


def save_model(trainer: Trainer, path: Path) -> None:
    """Save the current model as one that plain Keras loads and that takes the user's own rows; see ``portable``.

    Raises TrialError where the user's model cannot be saved, or the file does not give what the model gives; its
    weights are then kept beside ``path``, with all that builds it again, and nothing is at ``path``.
    """
    task, trained = trainer.task, trainer.learner.compiled.model
    settle(task.model)
    how = recipe_of(trainer)
    built = how.build(task.model)
    set_followed_momentum(built, batch_norm_momentum(trainer.steps_per_epoch))
    assign_all(built.model.variables, arrays_of(trained.variables))
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with UsersCode(f"saving model {task.model.text}", task.model.runs_in):
            whole = portable(built.model, how.around)
            compile_portable(whole, built, trainer.hyperparameters, trainer.learner.compiled.goal)
            whole.save(partial)
            _check_file(partial, trainer, how.around)
        write_class_names(partial, task.dataset.classes)
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
    """Return how a trainer's model is built again."""
    around = Around.of(trainer.task.dataset, trainer.learner.compiled.goal)
    task = trainer.task
    return ModelRecipe(trainer.given, trainer.seed, task.shape[1], task.kind, around)


def _check_file(path: Path, trainer: Trainer, around: Around) -> None:
    """Raise TrialError unless a saved file, loaded again, gives on raw rows what the examined model gives."""
    reference = trainer.task.model
    loaded = load_model(path, reference)
    x, raw = rows_to_compare(trainer.task.dataset, around)
    outputs = arrays(trainer.learner.compiled.model(x, training=False))
    expected = keras.tree.flatten(answers_of(outputs, around))
    found = keras.tree.flatten(loaded(raw, training=False))
    unit = unit_of(around)
    if not all(alike(*pair, unit) for pair in zip(found, expected, strict=True)):
        raise TrialError(
            f"saving model {reference.text}: expected a file that gives what the model gives. Received: one that,"
            " loaded again, gives other figures for the same rows: something of the model is not in what Keras saves"
            " of it."
        )
