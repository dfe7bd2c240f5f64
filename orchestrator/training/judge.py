"""The winner's last examination: recalibrate, score validation before and after, touch the test split once, save."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import keras
import yaml

from orchestrator.catalog import UsersCode
from orchestrator.errors import TrialError
from orchestrator.records import DiskFull, is_full, lies_below, made, write_atomically
from orchestrator.redaction import redacted
from orchestrator.training.checkpoint import load_checkpoint
from orchestrator.training.compiling import build_model, set_followed_momentum
from orchestrator.training.portable import (
    alike,
    answers_of,
    arrays,
    compile_portable,
    portable,
    rows_to_compare,
    write_class_names,
)
from orchestrator.training.program import arrays_of, assign_all
from orchestrator.training.saved import load_model
from orchestrator.training.trainer import Trainer


def judge(trainer: Trainer, checkpoint_file: Path, best: Path) -> dict[str, Any]:
    """Examine a checkpointed model and save it under ``best``.

    Returns {trial, epoch, hyperparameters, validation_before_recalibration, validation, test, sha256}, each split's
    value a mapping of metrics and the hyperparameters those in force at that epoch. The saved ``model.keras``, whose
    ``sha256`` that is, needs nothing of ours to be loaded. ``test`` is None where the data has no test split;
    ``not_saved`` says why where the user's model cannot be saved, which costs no score. Raises DiskFull where it does
    not fit, another OSError where ``best`` takes nothing.
    """
    checkpoint = load_checkpoint(checkpoint_file)
    trainer.begin(checkpoint.about["hyperparameters"], int(checkpoint.about["seed"]))
    trainer.restore(checkpoint)
    trainer.finalise()
    learner = trainer.learner
    before = trainer.evaluate("validation")
    learner.recalibrate()
    metrics = {
        "trial": checkpoint.about.get("trial"),
        "epoch": checkpoint.about["epoch"],
        "hyperparameters": checkpoint.about.get("chosen", {}),
        "validation_before_recalibration": before,
        "validation": trainer.evaluate("validation"),
        "test": trainer.evaluate("test") if trainer.task.dataset.test.rows else None,
    }
    made(best)
    try:
        save_model(trainer, best / "model.keras")
    except TrialError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and is_full(cause):
            raise DiskFull(best / "model.keras", checkpoint_file.stat().st_size) from None
        if isinstance(cause, OSError) and lies_below(cause, best):
            raise cause from None
        metrics["not_saved"] = str(error)
    else:
        metrics["sha256"] = hashlib.sha256((best / "model.keras").read_bytes()).hexdigest()
    metrics = dict(redacted(metrics))
    hyperparameters = yaml.safe_dump(metrics["hyperparameters"], sort_keys=False)
    write_atomically(best / "hyperparameters.yaml", hyperparameters)
    write_atomically(best / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def save_model(trainer: Trainer, path: Path) -> None:
    """Save the current model as one that plain Keras loads and that takes the user's own rows; see ``portable``.

    Raises TrialError where the user's model cannot be saved, or the file does not give what the model gives; its
    weights are then in ``model.weights.h5`` beside it, and nothing is at ``path``.
    """
    reference, task, goal = trainer.task.model, trainer.task, trainer.goal
    trainer.settle()
    built = build_model(reference, trainer.given, trainer.seed, task.shape, task.kind)
    set_followed_momentum(built, trainer.followed_momentum())
    assign_all(built.model.variables, arrays_of(trainer.learner.compiled.model.variables))
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with UsersCode(f"saving model {reference.text}", reference.runs_in):
            whole = portable(built.model, task.dataset, goal)
            compile_portable(whole, built, trainer.hyperparameters, goal)
            whole.save(partial)
            _check_file(partial, trainer)
        write_class_names(partial, task.dataset.classes)
        partial.replace(path)
    except TrialError as error:
        if not isinstance(error.__cause__, OSError):
            built.model.save_weights(path.with_name("model.weights.h5"))
        raise
    finally:
        partial.unlink(missing_ok=True)


def _check_file(path: Path, trainer: Trainer) -> None:
    """Raise TrialError unless a saved file, loaded again, gives on raw rows what the examined model gives."""
    dataset, reference = trainer.task.dataset, trainer.task.model
    loaded = load_model(path, reference)
    x, raw = rows_to_compare(dataset)
    if raw is None:
        return
    outputs = arrays(trainer.learner.compiled.model(x, training=False))
    expected = keras.tree.flatten(answers_of(outputs, dataset, trainer.goal))
    found = keras.tree.flatten(loaded(raw, training=False))
    if not all(alike(*pair) for pair in zip(found, expected, strict=True)):
        raise TrialError(
            f"saving model {reference.text}: expected a file that gives what the model gives. Received: one that,"
            " loaded again, gives other figures for the same rows: something of the model is not in what Keras saves"
            " of it."
        )
