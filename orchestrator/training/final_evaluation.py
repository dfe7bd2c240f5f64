"""The winner's final evaluation: its BatchNormalization averages, its scores on validation and test rows, its file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from orchestrator.errors import TrialError
from orchestrator.records import (
    DiskFull,
    Mode,
    is_full,
    lies_below,
    made,
    score_of,
    write_atomically,
)
from orchestrator.redaction import redacted
from orchestrator.training.batch_norm import distances
from orchestrator.training.saved_model import DETAILS
from orchestrator.training.saving import save_model
from orchestrator.training.state_transfer import finalise
from orchestrator.training.task import recalibration
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import arrays_of, assign_all
from orchestrator.training.winner_details import winner_details
from orchestrator.trials import load_checkpoint


def judge(
    trainer: Trainer,
    checkpoint_file: Path,
    best: Path,
    metric: str = "val_loss",
    mode: Mode = "min",
) -> dict[str, Any]:
    """Evaluate a checkpointed model and save it under ``best``.

    Returns {trial, epoch, hyperparameters, validation, test, task, sha256}, what recalibration came to
    (``examined``), by ``metric``, and what else is known (``winner_details``, the whole of which is in
    ``details.json``): each split's value a mapping of metrics, the hyperparameters those in force at that epoch, the
    task what it learned. The saved ``model.keras``, whose ``sha256`` that is, needs nothing of ours to be
    loaded. ``test`` is None where the data has no test split; ``not_saved`` says why where the user's model cannot be
    saved, which costs no score. Raises DiskFull where it does not fit, another OSError where ``best`` takes nothing.
    """
    checkpoint = load_checkpoint(checkpoint_file)
    trainer.resume(checkpoint)
    learned = trainer.backend.compiled.goal.task
    finalise(trainer.backend.compiled)
    scores = examined(trainer, metric, mode)
    layers = scores.pop("batch_norm_layers", None)
    record, details = winner_details(trainer, metric, {"layers": layers} if layers else {})
    metrics = {
        "trial": checkpoint.about.get("trial"),
        "epoch": checkpoint.about["epoch"],
        "hyperparameters": checkpoint.about.get("chosen", {}),
        **scores,
        "task": {"kind": learned.kind, "own": learned.compiled_by_user},
        **record,
    }
    made(best)
    metrics |= _saved(trainer, checkpoint_file, best)
    metrics = dict(redacted(metrics))
    details = {"trial": metrics["trial"], "epoch": metrics["epoch"], **redacted(details)}
    write_atomically(best / DETAILS, json.dumps(details, indent=1, ensure_ascii=False) + "\n")
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


AT_LEAST = 1e-6
"""By which share an average has to differ to be another one: less is the rounding of a sum."""


def examined(trainer: Trainer, metric: str, mode: Mode) -> dict[str, Any]:
    """Score the model in training, and leave it with the averages that it is handed over with.

    Returns {validation, test} of that model, each a mapping of metrics; ``test`` is None where there are no test rows.
    Where new averages were tried and are other ones, also {recalibrated, validation_before_recalibration, …_after_…,
    test_before_recalibration, …_after_…}. Test rows decide nothing. ``batch_norm_layers``, where new averages were
    computed: how far those of training are from them (``distances``).
    """
    trained = _scores(trainer)
    norm = trainer.backend.batch_norm
    averages = norm.averages
    before = arrays_of(averages)
    when = recalibration(trainer.hyperparameters, trainer.task)
    if when == "off" or not averages:
        return trained
    trainer.backend.recalibrate()
    anew = arrays_of(averages)
    layers = {"batch_norm_layers": distances(norm.layers, before, anew)}
    if _same(before, anew):
        return trained | layers
    after = _scores(trainer)
    chosen = when != "auto" or is_better(after["validation"], trained["validation"], metric, mode)
    if not chosen:
        assign_all(averages, before)
    tried = {"before": trained, "after": after}
    return {
        **(after if chosen else trained),
        **layers,
        "recalibrated": chosen,
        **{
            f"{part}_{which}_recalibration": tried[which][part]
            for which in tried
            for part in trained
        },
    }


def is_better(new: Mapping[str, float], old: Mapping[str, float], metric: str, mode: Mode) -> bool:
    """Return whether scores over validation rows are better, by the rule for trials: the metric, then the loss.

    Equal ones are not, nor are any that are not finite. A metric of training rows says nothing here: the loss decides.
    """
    if metric.removeprefix("val_") not in old or not metric.startswith("val_"):
        metric, mode = "val_loss", "min"
    rows = [
        {"epoch": 0, "metrics": {f"val_{name}": value for name, value in scores.items()}}
        for scores in (new, old)
    ]
    ours, theirs = (score_of(row, metric, mode) for row in rows)
    return ours is not None and ours.beats(theirs)


def _scores(trainer: Trainer) -> dict[str, Any]:
    has_test = bool(trainer.task.dataset.test.rows)
    return {
        "validation": trainer.evaluate("validation"),
        "test": trainer.evaluate("test") if has_test else None,
    }


def _same(left: tuple[np.ndarray, ...], right: tuple[np.ndarray, ...]) -> bool:
    pairs = zip(left, right, strict=True)
    return all(np.allclose(a, b, rtol=AT_LEAST, atol=AT_LEAST) for a, b in pairs)
