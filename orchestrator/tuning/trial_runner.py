"""Trains trials one after another in the process it is made in. Free of any Ray type."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator.errors import StopNow
from orchestrator.search import TrialSpec
from orchestrator.trials import Progress, Trainable
from orchestrator.tuning.failures import Failure, from_exception
from orchestrator.tuning.protocol import Report, Verdict

if TYPE_CHECKING:
    from orchestrator.trials import Session, Workbench

REPORT_SECONDS = 1.0
"""Epochs shorter than this share a report; every milestone gets its own."""


class TrialRunner:
    """A process's trainer, set up when the first trial is trained.

    ``step`` and ``examine`` are the trial boundary: whatever the trial's own code raises is returned, and the process
    stays warm.
    """

    def __init__(self, job: Trainable) -> None:
        self.job = job
        self._session: Session | None = None

    def take(self, spec: TrialSpec) -> None:
        """Have this trial be the next one."""
        self._spec = spec
        self._session = None

    def step(self) -> Report:
        """Train until the session has something to report."""
        progress = Progress()
        if "_workbench" not in vars(
            self
        ):  # said by itself: it takes seconds, and so does the first epoch
            _, failure = self._attempt(lambda: self._workbench)
            return Report(self._spec.trial, progress, failure, self._about(), opened=not failure)
        _, failure = self._attempt(lambda: self._advance(progress))
        return Report(self._spec.trial, progress, failure, self._about())

    def examine(self, verdict: Verdict) -> Mapping[str, Any] | Failure:
        """Examine the winner and save it; return its scores, or what was raised."""
        scores, failure = self._attempt(lambda: self._judge(verdict))
        return failure or scores

    def surroundings(self, trial: str | None) -> AbstractContextManager[object]:
        """Return what the code of a trial runs in, or that of the winner's examination (None)."""
        return nullcontext()

    def keep(self) -> None:
        """Write the trial's state down, since the run is about to stop."""
        if self._session is not None:
            self._session.keep()

    def leave(self) -> None:
        """Leave the process to its owner."""
        if "_workbench" in vars(self):
            self._workbench.leave()

    @cached_property
    def _workbench(self) -> Workbench:
        return self.job.open()

    def _advance(self, progress: Progress) -> None:
        workbench = self._workbench
        with self.surroundings(self._spec.trial):
            if self._session is None:
                self._session = workbench.session(self._spec.restored())
            self._session.advance(progress, REPORT_SECONDS)

    def _judge(self, verdict: Verdict) -> dict[str, Any]:
        workbench = self._workbench
        with self.surroundings(None):
            return workbench.judge(verdict.checkpoint, verdict.best)

    def _attempt(self, action: Callable[[], Any]) -> tuple[Any, Failure | None]:
        try:
            return action(), None
        except (SystemExit, StopNow):
            raise
        except BaseException as error:  # noqa: BLE001 (the trial boundary)
            return None, from_exception(error, self.job.home)

    def _about(self) -> dict[str, Any]:
        """Return what the trial's record holds besides its epochs."""
        return {
            **(self._workbench.about() if self._session is not None else {}),
            "worker": f"{os.uname().nodename}:{os.getpid()}",
            "rss_mb": round(psutil.Process().memory_info().rss / 2**20, 1),
        }
