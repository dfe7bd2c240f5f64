"""A warm worker: a Ray Tune trainable that takes trial after trial in one process."""

from __future__ import annotations

import math
import os
import time
import traceback
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from orchestrator.errors import TrialError, explain
from orchestrator.records import is_better
from orchestrator.tuning.job import Job, Report, Verdict

if TYPE_CHECKING:
    from orchestrator.training.checkpoint import Checkpoint
    from orchestrator.training.trainer import Trainer

REPORT_SECONDS = 1.0
"""Epochs shorter than this share a report; every milestone gets its own."""


class Worker(tune.Trainable):  # type: ignore[misc]
    """Trains one trial at a time; ``reset_config`` takes the next, so TensorFlow is imported once."""

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        """Take the first trial. ``job`` comes through Ray's object store.

        TensorFlow waits for the first step: while an actor starts, Tune hands its trial to any worker that falls free
        and ends the actor, so a slow start would leave one worker to do everything.
        """
        assert job is not None  # noqa: S101
        self.job = job
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train to the next milestone or for about a second, whichever comes first, and report those epochs.

        This is the trial boundary: whatever the trial's own code raises becomes a report, and the worker stays warm.
        """
        rows: list[dict[str, Any]] = []
        failure: tuple[str, str] | None = None
        try:
            self._train(rows)
        except Exception as error:  # noqa: BLE001 (the trial boundary)
            first = str(error).strip().split("\n")[0]
            failure = (f"{type(error).__name__}: {first}" if first else type(error).__name__, traceback.format_exc())
        diverged = bool(rows) and not _finite(rows[-1]["metrics"].get("loss"))
        return {"report": Report(self._trial, rows, failure, diverged, self._about())}

    def judge(self, verdict: Verdict) -> dict[str, Any]:
        """Examine the winner and save it."""
        from orchestrator.training.judge import judge

        return judge(self.trainer, verdict.checkpoint, verdict.best)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: a trial's state goes to the run's folder, not through Tune."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Read nothing."""

    @cached_property
    def trainer(self) -> Trainer:
        """Return this process's trainer; TensorFlow is imported for the first one asked for."""
        from orchestrator.training.worker_process import prepare_tensorflow

        prepare_tensorflow(self.job.threads)
        from orchestrator.training.trainer import Trainer

        return Trainer(self.job.task)

    def _take(self, config: dict[str, Any]) -> None:
        self._trial: str = config["trial"]
        self._chosen: dict[str, Any] = config["hyperparameters"]
        self._seed: int = config["seed"]
        self._begun = False
        self._best: float | None = None

    def _train(self, rows: list[dict[str, Any]]) -> None:
        if not self._begun:
            self.trainer.begin(self._chosen, self._seed)
            self._begun = True
        deadline = time.monotonic() + REPORT_SECONDS
        self._improved: Checkpoint | None = None
        try:
            while not self._reports_after(self._epoch(rows)) and time.monotonic() < deadline:
                pass
        finally:
            self._save_improved()

    def _epoch(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        """Train one epoch, add its row, and take the state where it is the trial's best."""
        start = time.perf_counter()
        metrics = self.trainer.train_epoch()
        seconds = time.perf_counter() - start
        if self.job.metric not in metrics:
            raise TrialError(explain("metric", "expected a metric that the model reports", self.job.metric, metrics))
        row = {"trial": self._trial, "epoch": self.trainer.epoch, "metrics": metrics, "seconds": seconds}
        rows.append(row)
        value = metrics[self.job.metric]
        if is_better(value, self._best, self.job.mode):
            self._best = value
            self._improved = self.trainer.checkpoint({"trial": self._trial, "chosen": self._chosen, **row})
        return row

    def _reports_after(self, row: dict[str, Any]) -> bool:
        epoch = row["epoch"]
        diverged = not _finite(row["metrics"].get("loss"))
        return diverged or epoch in self.job.milestones or epoch >= self.job.task.epochs

    def _save_improved(self) -> None:
        from orchestrator.training.checkpoint import save_checkpoint

        if self._improved is not None:
            save_checkpoint(checkpoint_file(self.job.checkpoints, self._trial), self._improved)

    def _about(self) -> dict[str, Any]:
        """Return what the trial's record holds besides its epochs."""
        import psutil

        known = self._begun
        return {
            "parameters": self.trainer.parameters if known else None,
            "path": self.trainer.learner.path if known else None,
            "path_reason": self.trainer.path_reason if known else None,
            "worker": f"{os.uname().nodename}:{os.getpid()}",
            "rss_mb": round(psutil.Process().memory_info().rss / 2**20, 1),
        }


def checkpoint_file(checkpoints: Path, trial: str) -> Path:
    """Return where a trial's best state lies."""
    return checkpoints / f"{trial}.npz"


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
