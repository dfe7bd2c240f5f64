"""The winner's final evaluation: its averages, its scores on validation and test rows, what else is known, its file."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
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
from orchestrator.training.calibration import (
    FEWEST_ROWS,
    JudgedRows,
    calibration,
    fit_temperature,
    summary,
    tempered,
)
from orchestrator.training.final_evaluation.hardest_rows import examples_of, keep_examples
from orchestrator.training.final_evaluation.judged_rows import (
    figure,
    judged_rows,
    noise,
    reading,
    shuffled_batches,
)
from orchestrator.training.final_evaluation.per_class import per_class, residuals
from orchestrator.training.hyperparameters import batch_size_of
from orchestrator.training.saved_model import DETAILS
from orchestrator.training.saving import save_model
from orchestrator.training.state_transfer import finalise
from orchestrator.training.task import recalibration
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import arrays_of, assign_all, model_summary
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
    details = keep_examples(best, metrics, redacted(details))
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


BATCHES = 64
"""How many batches of validation rows are looked at with their own statistics."""
Parts = Mapping[str, JudgedRows]


def winner_details(
    trainer: Trainer, metric: str, averages: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the winner's record holds, a few figures, and the whole; what does not apply is absent from both.

    The model stands with the averages that it is handed over with, which are left as they are; ``averages`` is what
    ``examined`` found of those. The record has {noise, calibration, failing, batch_norm}, and ``not_detailed`` where
    the model's code raised; the whole {model, rows, calibration, per_class, residuals, batch_norm, examples}.
    """
    try:
        parts = _parts(trainer)
        how = reading(trainer)
        whole = _of_answers(parts, how.activation if how else None) | _batch_norm(
            trainer, parts, metric, averages
        )
    except TrialError as error:
        return {"not_detailed": str(error)}, {"not_detailed": str(error)}
    whole |= {"model": model_summary(trainer.backend.compiled.model)}
    whole |= examples_of(trainer.task, parts.get("validation"))
    record: dict[str, Any] = {}
    if "validation" in parts and metric.startswith("val_"):
        known = _noise(trainer, parts["validation"], metric.removeprefix("val_"))
        record |= {} if known is None else {"noise": {metric: known}}
    if "calibration" in whole:
        record["calibration"] = summary(whole["calibration"])
    if failing := whole.get("per_class", {}).get("validation", {}).get("failing"):
        record["failing"] = failing
    if left_out := {part: rows.left_out for part, rows in parts.items() if rows.left_out}:
        record["not_finite"] = left_out
    if "batch_norm" in whole:
        record["batch_norm"] = {k: v for k, v in whole["batch_norm"].items() if k != "layers"}
    return _plain({k: v for k, v in record.items() if v}), _plain(whole)


def _noise(trainer: Trainer, rows: JudgedRows, name: str) -> float | None:
    """Return the standard error of the deciding metric, of a loss that of the mean of its rows."""
    if name != "loss":
        return noise(rows, name)
    losses = np.asarray(trainer.backend.row_losses("validation"))
    known = len(losses) >= FEWEST_ROWS and bool(np.isfinite(losses).all())
    return float(losses.std(ddof=1) / math.sqrt(len(losses))) if known else None


def _parts(trainer: Trainer) -> dict[str, JudgedRows]:
    found = {"validation": judged_rows(trainer, "validation")}
    if trainer.task.dataset.test.rows:
        found["test"] = judged_rows(trainer, "test")
    return {part: rows for part, rows in found.items() if rows is not None}


def _of_answers(parts: Parts, activation: str | None) -> dict[str, Any]:
    validation = parts.get("validation")
    if validation is None:
        return {}
    whole: dict[str, Any] = {"rows": {part: rows.rows for part, rows in parts.items()}}
    if validation.kind == "quantities":
        return whole | {"residuals": {part: residuals(rows) for part, rows in parts.items()}}
    whole["per_class"] = {part: per_class(rows) for part, rows in parts.items()}
    if are_probabilities(validation):
        lacks = {} if activation is None else {"activation": activation}
        whole["calibration"] = lacks | _calibration(parts, validation)
    return whole


def are_probabilities(rows: JudgedRows) -> bool:
    """Return whether answers are probabilities; sigmoids of classes that exclude one another do not sum to 1."""
    within = bool((rows.answers >= -1e-6).all() and (rows.answers <= 1 + 1e-3).all())
    sums = rows.answers.sum(axis=1)
    return within and (rows.kind == "flags" or bool(np.allclose(sums, 1, atol=1e-2)))


def _calibration(parts: Parts, validation: JudgedRows) -> dict[str, Any]:
    """Return the temperature, fitted on validation rows, and each split's calibration without and with it."""
    found = fit_temperature(validation)
    of = "the predicted class"
    if validation.kind == "flags":
        of = "each flag"
    elif validation.answers.shape[1] == 2:
        of = f"class {validation.names[1]}"
    whole: dict[str, Any] = {"probability_of": of, "fitted_on": "validation"}
    if found.value is None:
        whole["why_none"] = found.why
    else:
        whole |= {"temperature": found.value, "temperature_log_error": found.error}
    for part, rows in parts.items():
        whole[part] = calibration(rows)
        if found.value is not None:
            answers = tempered(rows.answers, rows.kind, found.value)
            whole[part]["calibrated"] = calibration(replace(rows, answers=answers))
    return whole


def _batch_norm(
    trainer: Trainer, parts: Parts, metric: str, averages: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the metric with moving averages and with the statistics of batches as large as in training.

    A batch of one has no statistics of its own: it has to be judged by the moving averages, and so ``gap`` is what it
    gains or loses. Over all validation rows, or 64 batches of them.
    """
    norm, how = trainer.backend.batch_norm, reading(trainer)
    if not any(layer.trainable for layer in norm.layers):
        return {}  # one that is frozen normalizes by its averages in training too
    found = dict(averages)
    rows = parts.get("validation")
    if how is None or rows is None:
        return {"batch_norm": found} if found else {}
    size = batch_size_of(trainer.hyperparameters)

    def judged() -> JudgedRows | None:
        batches = shuffled_batches(trainer, how.view, size, BATCHES)
        return judged_rows(trainer, "validation", batches)

    with norm.using_batches():
        by_batch = judged()
    # Both on the same rows: what differs is what BatchNormalization divides by.
    moving = rows if by_batch is not None and by_batch.rows == rows.rows else judged()
    name = metric.removeprefix("val_")
    usual = "mae" if rows.kind == "quantities" else "accuracy"
    for one in dict.fromkeys([name, usual]):
        values = [figure(each, one) if each is not None else None for each in (moving, by_batch)]
        if values[0] is not None and values[1] is not None:
            gap = values[1] - values[0]
            found |= {"metric": f"val_{one}", "moving_averages": values[0]}
            found |= {"batch_statistics": values[1], "gap": gap, "batch_size": size}
            break
    return {"batch_norm": found} if found else {}


def _plain(value: Any) -> Any:
    """Return plain values for JSON, which has no figure that is not finite: None in its place."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
