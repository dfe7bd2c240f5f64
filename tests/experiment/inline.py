"""The inline executor, with something done between two reports, or cut off after some."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.errors import StopNow
from orchestrator.tuning.inline import run_plan


class InlineTuner:
    """Reports after each epoch. ``before`` {(trial, how many reports): action} is done before a trial's next report.

    ``most`` reports are heard, then the run is cut off as by a kill.
    """

    def __init__(self):
        self.before, self.most = {}, 999

    def __call__(self, plan, job, listener, sitting):
        self.heard = 0
        return run_plan(plan, Interposed(job, self), listener, sitting)


@dataclass
class Interposed:
    """A job, a workbench or a session that is as another one but for what is done before a report."""

    inner: Any
    tuner: InlineTuner
    trial: str = ""
    reports: int = 0

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def open(self):
        return Interposed(self.inner.open(), self.tuner)

    def session(self, spec):
        return Interposed(self.inner.session(spec), self.tuner, spec.trial)

    def advance(self, progress, seconds):
        if self.tuner.heard >= self.tuner.most:
            raise StopNow
        self.tuner.before.pop((self.trial, self.reports), lambda: None)()
        self.reports, self.tuner.heard = self.reports + 1, self.tuner.heard + 1
        self.inner.advance(progress, 0.0)
