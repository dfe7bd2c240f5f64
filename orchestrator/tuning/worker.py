"""A warm worker: a Ray Tune trainable that takes trial after trial in one process."""

from __future__ import annotations

import os
from dataclasses import fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psutil
from ray import tune

from orchestrator.strategies import TrialSpec
from orchestrator.training.progress import Progress
from orchestrator.tuning.failures import Failure, raised
from orchestrator.tuning.job import Job, Report, Verdict

if TYPE_CHECKING:
    from orchestrator.training.session import Session
    from orchestrator.training.workbench import Workbench

REPORT_SECONDS = 1.0
"""Epochs shorter than this share a report; every milestone gets its own."""


class Worker(tune.Trainable):  # type: ignore[misc]
    """Trains one trial at a time; ``reset_config`` takes the next, so TensorFlow is imported once."""

    _session: Session | None

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        """Take the first trial. ``job`` comes through Ray's object store.

        The workbench waits for the first step: while an actor starts, Tune hands its trial to any worker that falls
        free and ends the actor, so a slow start would leave one worker to do everything.
        """
        assert job is not None  # noqa: S101
        self.job = job
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._take(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train until the session has something to report.

        This is the trial boundary: whatever the trial's own code raises becomes a report, and the worker stays warm.
        """
        progress = Progress()
        failure: Failure | None = None
        try:
            if self._session is None:
                self._session = self._workbench.session(self._spec)
            self._session.advance(progress, REPORT_SECONDS)
        except Exception as error:  # noqa: BLE001 (the trial boundary)
            failure = raised(error, self.job.home)
        return {"report": Report(self._spec.trial, progress, failure, self._about())}

    def keep(self) -> None:
        """Write the trial's state down, since the run is about to stop."""
        if self._session is not None:
            self._session.keep()

    def judge(self, verdict: Verdict) -> dict[str, Any]:
        """Examine the winner and save it."""
        return self._workbench.judge(verdict.checkpoint, verdict.best)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: a trial's state goes to the run's folder, not through Tune."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Read nothing."""

    @cached_property
    def _workbench(self) -> Workbench:
        return self.job.open()

    def _take(self, config: dict[str, Any]) -> None:
        # Beside the trial's own, Tune's configuration holds what the search space is made of.
        self._spec = TrialSpec(**{field.name: config[field.name] for field in fields(TrialSpec)})
        self._session = None

    def _about(self) -> dict[str, Any]:
        """Return what the trial's record holds besides its epochs."""
        return {
            **(self._workbench.about() if self._session is not None else {}),
            "worker": f"{os.uname().nodename}:{os.getpid()}",
            "rss_mb": round(psutil.Process().memory_info().rss / 2**20, 1),
        }
