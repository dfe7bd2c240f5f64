"""One trial's training in a worker, from its first epoch to its last, free of any Ray type."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.errors import TrialError, explain
from orchestrator.records import Mode, is_better
from orchestrator.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from orchestrator.training.progress import Progress
from orchestrator.training.trainer import Trainer


@dataclass(frozen=True)
class Goal:
    """What trials are judged by, when the driver decides, and where states go.

    ``milestones`` are the epochs after which the driver decides: each gets a report of its own.
    """

    metric: str
    mode: Mode
    milestones: frozenset[int]
    checkpoints: Path


class Session(Protocol):
    """A trial in training."""

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train until something is worth a report, or about ``seconds`` have passed."""


SAVE_SECONDS = 10.0
"""How much training a killed trial may lose: a shorter one starts again, which gives the same numbers."""


class TrialSession:
    """Trains a trial's epochs one after another and keeps the state of its best one.

    Every ten seconds or so it also keeps the last state, from which a killed trial goes on.
    """

    def __init__(
        self, trainer: Trainer, trial: str, chosen: Mapping[str, Any], seed: int, goal: Goal
    ) -> None:
        self._trainer = trainer
        self._trial = trial
        self._chosen = dict(chosen)
        self._seed = seed
        self._goal = goal
        self._begun = False
        self._best: float | None = None
        self._improved: Checkpoint | None = None
        self._saved_at = time.monotonic()
        self._unsaved: list[dict[str, Any]] = []

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train to the next milestone or for about ``seconds``, whichever comes first."""
        if not self._begun:
            self._begin(progress)
            self._begun = True
        deadline = time.monotonic() + seconds
        try:
            while (
                not self._reports_after(self._epoch(progress), progress)
                and time.monotonic() < deadline
            ):
                pass
        finally:
            self._save_improved()
        if not progress.done and time.monotonic() - self._saved_at > SAVE_SECONDS:
            self._save_last()

    def _begin(self, progress: Progress) -> None:
        """Start from the seed, or where a killed trial was: its unheard epochs are told again."""
        file = last_file(self._goal.checkpoints, self._trial)
        if not file.exists():
            self._trainer.begin(self._chosen, self._seed)
            return
        checkpoint = load_checkpoint(file)
        self._trainer.resume(checkpoint)
        self._best = checkpoint.about["best"]
        progress.rows.extend(checkpoint.about["rows"])

    def _save_last(self) -> None:
        about = {"trial": self._trial, "best": self._best, "rows": self._unsaved}
        save_checkpoint(
            last_file(self._goal.checkpoints, self._trial), self._trainer.checkpoint(about)
        )
        self._saved_at = time.monotonic()
        self._unsaved = []

    def _epoch(self, progress: Progress) -> dict[str, Any]:
        """Train one epoch, add its row, and take the state where it is the trial's best."""
        row = train_epoch(self._trainer, self._trial, self._goal.metric)
        progress.rows.append(row)
        self._unsaved.append(row)
        value = row["metrics"][self._goal.metric]
        if is_better(value, self._best, self._goal.mode):
            self._best = value
            self._improved = self._trainer.checkpoint(
                {"trial": self._trial, "chosen": self._chosen, **row}
            )
        return row

    def _reports_after(self, row: Mapping[str, Any], progress: Progress) -> bool:
        progress.diverged = not finite(row["metrics"].get("loss"))
        progress.done = row["epoch"] >= self._trainer.task.epochs
        return progress.diverged or progress.done or row["epoch"] in self._goal.milestones

    def _save_improved(self) -> None:
        if self._improved is not None:
            save_checkpoint(checkpoint_file(self._goal.checkpoints, self._trial), self._improved)
            self._improved = None


def train_epoch(trainer: Trainer, trial: str, metric: str) -> dict[str, Any]:
    """Train one epoch and return its row. Raises TrialError when the model does not report ``metric``."""
    start = time.perf_counter()
    metrics = trainer.train_epoch()
    seconds = time.perf_counter() - start
    if metric not in metrics:
        raise TrialError(
            explain("metric", "expected a metric that the model reports", metric, metrics)
        )
    return {"trial": trial, "epoch": trainer.epoch, "metrics": metrics, "seconds": seconds}


def checkpoint_file(checkpoints: Path, trial: str) -> Path:
    """Return where a trial's best state lies."""
    return checkpoints / f"{trial}.npz"


def last_file(checkpoints: Path, trial: str) -> Path:
    """Return where a trial's last state lies while it trains."""
    return checkpoints / f"{trial}.last.npz"


def finite(value: Any) -> bool:
    """Return whether ``value`` is a finite number."""
    return isinstance(value, int | float) and math.isfinite(value)
