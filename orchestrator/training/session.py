"""What every trial in training has in common, babysat or not. Loads neither TensorFlow nor Keras."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.config import Duration
from orchestrator.errors import TrialError, explain
from orchestrator.records import Mode
from orchestrator.trials import StateStore

if TYPE_CHECKING:
    from orchestrator.training.trainer import Trainer


AMID_SECONDS = 5.0
"""After which training returns amid an epoch, so that the worker answers, as when it is asked to keep the state."""


@dataclass(frozen=True)
class Goal:
    """What trials are judged by, when the driver decides, and where states go.

    ``milestones`` are the epochs after which the driver decides: each gets a report of its own.
    """

    metric: str
    mode: Mode
    milestones: frozenset[int]
    checkpoints: Path
    checkpoint_every: Duration | Literal["auto"] = "auto"

    @property
    def states(self) -> StateStore:
        """Return where states go."""
        return StateStore(self.checkpoints)


def is_time(trainer: Trainer, began: float, seconds: float) -> bool:
    """Return whether to report, ``seconds`` after ``began``; amid an epoch, with nothing to tell, some later."""
    wait = max(seconds, AMID_SECONDS) if trainer.within.steps else seconds
    return time.monotonic() - began >= wait


def steps_of(trainer: Trainer) -> int:
    """Return the batches trained so far, in all epochs."""
    return trainer.epoch * trainer.steps_per_epoch + trainer.within.steps


def train_epoch(trainer: Trainer, trial: str, metric: str) -> dict[str, Any]:
    """Train one epoch and return its row. Raises TrialError when the model does not report ``metric``."""
    row = None
    while row is None:
        row = train_part(trainer, trial, metric)
        if trainer.ended:
            raise TrialError(f"epoch {trainer.epoch + 1}: none was trained, since {trainer.ended}.")
    return row


def train_part(trainer: Trainer, trial: str, metric: str) -> dict[str, Any] | None:
    """Train a part of an epoch, a cheap one whole; return what ``train_epoch`` does, None in the middle of it."""
    metrics = trainer.train_part()
    if metrics is None:
        return None
    if metric not in metrics:
        raise TrialError(
            explain("metric", "expected a metric that the model reports", metric, metrics)
        )
    return {
        "trial": trial,
        "epoch": trainer.epoch,
        "metrics": metrics,
        "parameters": trainer.learner.compiled.parameters,
        "seconds": trainer.within.seconds,
    }


def finite(value: Any) -> bool:
    """Return whether ``value`` is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)
