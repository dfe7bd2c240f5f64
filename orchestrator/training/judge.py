"""The winner's last examination: its averages, its scores on validation and test rows, and the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from orchestrator.catalog import UsersCode
from orchestrator.errors import TrialError
from orchestrator.records import DiskFull, Mode, is_full, lies_below, made, write_atomically
from orchestrator.redaction import redacted
from orchestrator.training.checkpoint import load_checkpoint
from orchestrator.training.compiling import build_model, compile_stock, set_followed_momentum
from orchestrator.training.program import arrays_of, assign_all
from orchestrator.training.recalibration import examined
from orchestrator.training.trainer import Trainer


def judge(
    trainer: Trainer,
    checkpoint_file: Path,
    best: Path,
    metric: str = "val_loss",
    mode: Mode = "min",
) -> dict[str, Any]:
    """Examine a checkpointed model and save it under ``best``.

    Returns {trial, epoch, hyperparameters, validation, test} and what recalibration came to (``examined``), by
    ``metric``; the hyperparameters are those in force at that epoch. The saved ``model.keras`` needs nothing of
    ours to be loaded. ``not_saved`` says why where the user's model cannot be saved, which costs no score.
    Raises DiskFull where it does not fit, another OSError where ``best`` takes nothing.
    """
    checkpoint = load_checkpoint(checkpoint_file)
    trainer.begin(checkpoint.about["hyperparameters"], int(checkpoint.about["seed"]))
    trainer.restore(checkpoint)
    trainer.finalise()
    metrics = {
        "trial": checkpoint.about.get("trial"),
        "epoch": checkpoint.about["epoch"],
        "hyperparameters": checkpoint.about.get("chosen", {}),
        **examined(trainer, metric, mode),
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
    metrics = dict(redacted(metrics))
    hyperparameters = yaml.safe_dump(metrics["hyperparameters"], sort_keys=False)
    write_atomically(best / "hyperparameters.yaml", hyperparameters)
    write_atomically(best / "metrics.json", json.dumps(metrics, indent=2) + "\n")
    return metrics


def save_model(trainer: Trainer, path: Path) -> None:
    """Save the current model's weights in a model as plain Keras builds and compiles it.

    Raises TrialError where the user's model cannot be saved; nothing is left at ``path`` then.
    """
    reference = trainer.task.model
    task = trainer.task
    trainer.settle()
    built = build_model(reference, trainer.given, trainer.seed, task.shape, task.kind)
    set_followed_momentum(built, trainer.followed_momentum())
    compile_stock(built, trainer.hyperparameters, trainer.goal)
    assign_all(built.model.variables, arrays_of(trainer.learner.compiled.model.variables))
    if not built.model.optimizer.built:
        built.model.optimizer.build(built.model.trainable_variables)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with UsersCode(f"saving model {reference.text}", str(reference.file)):
            built.model.save(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
