"""Trains trials one after another in the process it is made in. Free of any Ray type."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator.errors import StopNow
from orchestrator.search import TrialSpec
from orchestrator.trials import Progress, Trainable
from orchestrator.tuning.failures import Failure, from_exception
from orchestrator.tuning.protocol import Report, Verdict

if TYPE_CHECKING:
    from orchestrator.trials import Workbench

REPORT_SECONDS = 1.0
"""Epochs shorter than this share a report; every milestone gets its own."""


class TrialRunner:
    """A process's trainer, set up when the first trial is trained; it has ``places`` for so many trials at a time.

    ``step`` and ``examine`` are the trial boundary: whatever the trial's own code raises is returned, and the process
    stays warm.
    """

    def __init__(self, job: Trainable, places: int = 1) -> None:
        self.job = job
        self.places = places
        self._specs: dict[str, TrialSpec] = {}
        self._sessions: dict[str, Any] = {}

    @property
    def trials(self) -> list[str]:
        """The trials in training."""
        return list(self._specs)

    def take(self, spec: TrialSpec) -> None:
        """Have this trial train too; where there is one place, instead of the one before."""
        if self.places == 1:
            self._specs.clear()
            self._sessions.clear()
        self._specs[spec.trial] = spec

    def drop(self, trial: str) -> None:
        """Train a trial no further."""
        self._specs.pop(trial, None)
        session = self._sessions.pop(trial, None)
        if session is not None and self.places > 1:
            session.leave()

    def step(self) -> list[Report]:
        """Train until there is something to report of a trial; return what there is of each one."""
        told = {trial: Progress() for trial in self._specs}
        if "_workbench" not in vars(self):  # said first: it takes seconds, and so does what follows
            _, failure = self._attempt(lambda: self._workbench)
            return [Report(t, told[t], failure, self._about(t), not failure) for t in told]
        if self.places > 1:
            failures = self._train_together(told)
        else:
            failures = self._each(lambda trial: self._advance(trial, told[trial]))[1]
        return [Report(t, told[t], failures.get(t), self._about(t)) for t in told]

    def _train_together(self, told: Mapping[str, Progress]) -> dict[str, Failure]:
        """Train chunk after chunk of all trials until one comes to report, or for about REPORT_SECONDS."""
        began = time.monotonic()
        over, failures = self._each(lambda trial: self._session(trial).begin(told[trial]))
        while not over:
            unready = self._each(lambda trial: self._session(trial).get_ready())[1]
            over, untrained = self._each(
                lambda trial: self._session(trial).train(told[trial]), unready
            )
            failures |= unready | untrained
            over = over or bool(failures) or time.monotonic() - began >= REPORT_SECONDS
        return failures | self._each(lambda trial: self._session(trial).settle(told[trial]))[1]

    def _each(
        self, action: Callable[[str], Any], but: Collection[str] = ()
    ) -> tuple[bool, dict[str, Failure]]:
        """Do something for each trial; return whether it was true of one, and the failures, by trial."""
        failures: dict[str, Failure] = {}
        found = False
        for trial in self._specs:
            if trial not in but:
                answer, failure = self._attempt(partial(self._inside, trial, action))
                found = found or bool(answer) or failure is not None
                failures |= {trial: failure} if failure else {}
        return found, failures

    def examine(self, verdict: Verdict) -> Mapping[str, Any] | Failure:
        """Examine the winner and save it; return its scores, or what was raised."""
        scores, failure = self._attempt(lambda: self._judge(verdict))
        return failure or scores

    def try_lanes(self, spec: TrialSpec, most: int) -> Mapping[str, Any] | Failure:
        """Return how many trials, up to ``most``, the workbench should train at a time; or what was raised."""

        def try_them(_: str) -> Any:
            workbench: Any = self._workbench
            return workbench.try_lanes(spec, most)

        found, failure = self._attempt(lambda: self._inside(spec.trial, try_them))
        return failure or dict(found)

    def have_lanes(self, lanes: int | None) -> None:
        """Train so many trials at a time from here on, as lanes of one program; None: one, by itself."""
        self.places = lanes or 1
        if "_workbench" in vars(self):
            workbench: Any = self._workbench
            workbench.have_lanes(lanes)

    def surroundings(self, trial: str | None) -> AbstractContextManager[object]:
        """Return what the code of a trial runs in, or that of the winner's examination (None)."""
        return nullcontext()

    def keep(self, trial: str | None = None) -> None:
        """Write a trial's state down, since it is about to be interrupted; None: that of each one."""
        for name, session in self._sessions.items():
            if trial in (None, name):
                session.keep()

    def leave(self) -> None:
        """Leave the process to its owner."""
        if "_workbench" in vars(self):
            self._workbench.leave()

    @cached_property
    def _workbench(self) -> Workbench:
        return self.job.open()

    def _inside(self, trial: str, action: Callable[[str], Any]) -> Any:
        _ = self._workbench  # set up outside of what is a trial's
        with self.surroundings(trial):
            return action(trial)

    def _advance(self, trial: str, progress: Progress) -> None:
        self._session(trial).advance(progress, REPORT_SECONDS)

    def _session(self, trial: str) -> Any:
        if trial not in self._sessions:
            self._sessions[trial] = self._workbench.session(self._specs[trial].restored())
        return self._sessions[trial]

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

    def _about(self, trial: str) -> dict[str, Any]:
        """Return what the trial's record holds besides its epochs."""
        session = self._sessions.get(trial)
        known: Mapping[str, Any] = {}
        if session is not None:
            known = (session if self.places > 1 else self._workbench).about()
        return {
            **known,
            "worker": f"{os.uname().nodename}:{os.getpid()}",
            "rss_mb": round(psutil.Process().memory_info().rss / 2**20, 1),
        }
