"""A warm worker: a Ray Tune trainable that takes trial after trial in one process."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from orchestrator.errors import TrialError
from orchestrator.redaction import conceal, redact, restored
from orchestrator.training.progress import Progress
from orchestrator.tuning.job import Job, Report, Verdict

if TYPE_CHECKING:
    from orchestrator.training.panda.birth import Birth
    from orchestrator.training.session import Session
    from orchestrator.training.trainer import Trainer

REPORT_SECONDS = 1.0
"""Epochs shorter than this share a report; every milestone gets its own."""


class Worker(tune.Trainable):  # type: ignore[misc]
    """Trains one trial at a time; ``reset_config`` takes the next, so TensorFlow is imported once."""

    _session: Session | None

    def setup(self, config: dict[str, Any], job: Job | None = None) -> None:
        """Take the first trial. ``job`` comes through Ray's object store.

        TensorFlow waits for the first step: while an actor starts, Tune hands its trial to any worker that falls free
        and ends the actor, so a slow start would leave one worker to do everything.
        """
        assert job is not None  # noqa: S101
        self.job = job
        conceal(job.secrets)
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
        failure: tuple[str, str] | None = None
        try:
            if self._session is None:
                self._session = self._new_session()
            self._session.advance(progress, REPORT_SECONDS)
        except Exception as error:  # noqa: BLE001 (the trial boundary)
            failure = (first_line(error), redact(traceback.format_exc()))
        return {"report": Report(self._spec["trial"], progress, failure, self._about())}

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
        self._spec = restored(config)
        self._session = None

    def _new_session(self) -> Session:
        from orchestrator.training.session import Goal, TrialSession

        job, spec = self.job, self._spec
        goal = Goal(job.metric, job.mode, frozenset(job.milestones), job.checkpoints)
        if job.nursery is None:
            return TrialSession(
                self.trainer, spec["trial"], spec["hyperparameters"], spec["seed"], goal
            )
        from orchestrator.training.panda.session import PandaSession

        return PandaSession(self.trainer, birth_of(spec), job.nursery, goal)

    def _about(self) -> dict[str, Any]:
        """Return what the trial's record holds besides its epochs."""
        import psutil

        trainer = self.trainer if self._session is not None and self.trainer.begun else None
        return {
            "parameters": trainer.parameters if trainer else None,
            "path": trainer.learner.path if trainer else None,
            "path_reason": trainer.path_reason if trainer else None,
            "worker": f"{os.uname().nodename}:{os.getpid()}",
            "rss_mb": round(psutil.Process().memory_info().rss / 2**20, 1),
        }


def birth_of(spec: Mapping[str, Any]) -> Birth:
    """Return where a babysat trial comes from."""
    from orchestrator.training.panda.birth import Birth

    checkpoint = spec.get("checkpoint")
    return Birth(
        trial=spec["trial"],
        seed=spec["seed"],
        hyperparameters=spec["hyperparameters"],
        checkpoint=Path(checkpoint) if checkpoint else None,
        branch=bool(spec.get("branch")),
        changes=spec.get("changes") or {},
    )


def first_line(error: BaseException) -> str:
    """Return an error's kind and first line: those of the user's own, where ours only wraps it."""
    cause = error.__cause__ if isinstance(error, TrialError) and error.__cause__ else error
    said = redact(str(cause)).strip().split("\n")[0]
    kind = type(cause).__name__
    if cause is error:
        return f"{kind}: {said}" if said else kind
    spot = re.search(r" \([^()]+ line \d+, in \w+\)", str(error))
    return (f"{kind}: {said}" if said else kind) + (spot.group() if spot else "")
