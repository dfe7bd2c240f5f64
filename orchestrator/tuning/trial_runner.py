"""Trains trials one after another in the process it is made in. Free of any Ray type."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
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
    from orchestrator.trials.protocol import SideBySide

REPORT_SECONDS = 1.0
"""Epochs shorter than this share a report; every milestone gets its own."""
IDLE_SECONDS = 0.2
"""How long trials are left alone of which none trains: babysat ones that are paused."""


class TrialRunner:
    """A process's trainer, set up when the first trial is trained; it has ``places`` for so many trials at a time.

    ``step`` and ``examine`` are the trial boundary: whatever the trial's own code raises is returned, and the process
    stays warm.
    """

    def __init__(self, job: Trainable, places: int = 1) -> None:
        self.job = job
        self.places = places
        self._specs: dict[str, TrialSpec] = {}
        self._sessions: dict[str, SideBySide] = {}

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

    def step(self, unheard: Collection[dict[str, Any]] = ()) -> list[Report]:
        """Train until there is something to report of a trial; return what there is of each one.

        ``unheard`` are rows that the driver may not have heard yet, of one trial alone: a state that is kept
        holds them too. They are reported again.
        """
        told = {trial: Progress(rows=[*unheard]) for trial in self._specs}
        if "_workbench" not in vars(self):  # said first: it takes seconds, and so does what follows
            _, failure = self._attempt(lambda: self._workbench)
            return [Report(t, told[t], failure, self._about(t), not failure) for t in told]
        if self.places > 1:
            failures = self._train_together(told)
        else:
            failures = self._each(lambda trial: self._advance(trial, told[trial]))[1]
        shaped_by: frozenset[str] = getattr(self._workbench, "shaped_by", frozenset())
        return [
            Report(t, told[t], failures.get(t), self._about(t), shaped_by=shaped_by) for t in told
        ]

    def _train_together(self, told: Mapping[str, Progress]) -> dict[str, Failure]:
        """Train chunk after chunk of all trials until one comes to report, or for about REPORT_SECONDS."""
        began = time.monotonic()
        over, failures = self._each(lambda trial: self._session(trial).begin(told[trial]))
        while not over:
            trains, unready = self._each(lambda trial: self._session(trial).get_ready())
            if not trains:
                time.sleep(IDLE_SECONDS)
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

    def _session(self, trial: str) -> SideBySide:
        if trial not in self._sessions:
            session: Any = self._workbench.session(self._specs[trial].restored())
            self._sessions[trial] = (
                session  # of a workbench of one place it is used as a Session alone
            )
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


class ReportsAhead:
    """The reports of a runner with one place, which need not wait until the driver has heard the last one.

    Where ``ask`` is given, nothing depends on what the driver would answer: a trial that has more to train goes on, and
    one that is over makes place for the one that was taken as the next. ``ask`` has ``prepare`` called soon, after the
    report before is on its way.
    """

    def __init__(self, runner: TrialRunner, ask: Callable[[], None] | None) -> None:
        self.runner = runner
        self._ask = ask
        self._next: deque[TrialSpec] = deque()
        self._ready: Report | None = None
        self._last: Report | None = None
        self._is_over = True

    def take(self, spec: TrialSpec, next_one: bool = False) -> None:
        """Take a trial: as the ``next_one``, or now, in place of all others."""
        if next_one:
            self._next.append(spec)
            return
        self.forget()
        self._begin(spec)

    def skip(self, trial: str) -> None:
        """Train a trial no further, whatever was trained of it already."""
        if trial in self.runner.trials:
            self._is_over = True
        if self._ready is not None and self._ready.trial == trial:
            self._ready = None

    def forget(self) -> None:
        """Have no trial any more."""
        self._next.clear()
        self._ready = self._last = None
        self._is_over = True

    def next(self) -> Report | None:
        """Return the next report, None where no trial is there; the driver has heard the one before."""
        self._last = None
        report, self._ready = self._ready or self._train(), None
        self._last = report
        if report is not None and self._ask is not None and (self._next or not self._is_over):
            self._ask()
        return report

    def prepare(self) -> None:
        """Train until there is a further report, unless there is one already."""
        if self._ready is None:
            self._ready = self._train()

    def _begin(self, spec: TrialSpec) -> None:
        self.runner.take(spec)
        self._is_over = False

    def _train(self) -> Report | None:
        if self._is_over:
            if not self._next:
                return None
            self._begin(self._next.popleft())
        last = self._last
        unheard = last.progress.rows if last and last.trial in self.runner.trials else []
        [report] = self.runner.step(unheard)
        self._is_over, progress = report.is_over, report.progress
        return replace(report, progress=replace(progress, rows=progress.rows[len(unheard) :]))
