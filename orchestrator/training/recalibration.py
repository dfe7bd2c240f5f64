"""Which BatchNormalization averages the winner has: those of training, or new ones over training rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.records import Mode, score_of
from orchestrator.training.program import arrays_of, assign_all
from orchestrator.training.task import recalibration
from orchestrator.training.trainer import Trainer

AT_LEAST = 1e-6
"""By which share an average has to differ to be another one: less is the rounding of a sum."""


def examined(trainer: Trainer, metric: str, mode: Mode) -> dict[str, Any]:
    """Score the model in training, and leave it with the averages that it is handed over with.

    Returns {validation, test} of that model, each a mapping of metrics; ``test`` is None where there are no test rows.
    Where new averages were tried and are other ones, also {recalibrated, validation_before_recalibration, …_after_…,
    test_before_recalibration, …_after_…}. Test rows decide nothing.
    """
    trained = _scores(trainer)
    averages = trainer.learner.batch_norm.averages
    before = arrays_of(averages)
    when = recalibration(trainer.hyperparameters, trainer.task)
    if when == "off" or not averages:
        return trained
    trainer.learner.recalibrate()
    if _same(before, arrays_of(averages)):
        return trained
    anew = _scores(trainer)
    chosen = when != "auto" or is_better(anew["validation"], trained["validation"], metric, mode)
    if not chosen:
        assign_all(averages, before)
    tried = {"before": trained, "after": anew}
    return {
        **(anew if chosen else trained),
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
