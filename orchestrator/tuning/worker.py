"""A warm worker: a Ray Tune trainable that takes trial after trial in one process."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ray import tune

from orchestrator.trials import Trainable
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.job import Verdict
from orchestrator.tuning.printed import printed_to
from orchestrator.tuning.trial_runner import TrialRunner


class Worker(tune.Trainable):  # type: ignore[misc]
    """Trains one trial at a time; ``reset_config`` takes the next, so TensorFlow is imported once."""

    def setup(self, config: dict[str, Any], job: Trainable | None = None) -> None:
        """Take the first trial. ``job`` comes through Ray's object store.

        The workbench waits for the first step: while an actor starts, Tune hands its trial to any worker that falls
        free and ends the actor, so a slow start would leave one worker to do everything.
        """
        assert job is not None  # noqa: S101
        self._runner = _Runner(job)
        self._runner.take(config["spec"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next trial."""
        self._runner.take(new_config["spec"])
        return True

    def step(self) -> dict[str, Any]:
        """Train until the session has something to report."""
        return {"report": self._runner.step()}

    def keep(self) -> None:
        """Write the trial's state down, since the run is about to stop."""
        self._runner.keep()

    def examine(self, verdict: Verdict) -> Mapping[str, Any] | Failure:
        """Examine the winner and save it; return its scores, or what was raised."""
        return self._runner.examine(verdict)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: a trial's state goes to the run's folder, not through Tune."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Read nothing."""


class _Runner(TrialRunner):
    """One whose trials print into files, since nobody sees a worker's output."""

    def surroundings(self, trial: str | None) -> AbstractContextManager[object]:
        """Return what collects a trial's output."""
        if trial is None:
            return nullcontext()
        return printed_to(self.job.home / "logs" / f"{trial}.printed.txt")
