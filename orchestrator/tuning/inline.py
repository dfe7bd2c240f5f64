"""Runs a plan in this process: a breakpoint in a user's model has the terminal.

One trial trains after another, or as many at a time as the plan has lanes.

Ray is not imported. What hangs cannot be ended from here: limits of time are looked at between two reports.
"""

from __future__ import annotations

import bdb
import contextlib
import os
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import StopNow, TrialError, exit_code
from orchestrator.search import Plan
from orchestrator.trials import Trainable
from orchestrator.tuning.examination import Examination
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.lane_choice import with_lanes_chosen
from orchestrator.tuning.protocol import Listener, Outcome, Sitting, Verdict
from orchestrator.tuning.stage import Stage
from orchestrator.tuning.trial_runner import TrialRunner

LOOK_SECONDS = 0.1
"""How often a run that waits to try a trial again looks whether it is time, or is asked to stop."""


def run_plan(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    """Run every trial of ``plan``, telling ``listener`` what happens, and examine the winner."""
    stage = Stage(plan, listener, sitting)
    runner = _Runner(job, plan.lanes if isinstance(plan.lanes, int) else 1)
    examination = Examination(listener, sitting.stopping)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_breakpoints_at_the_terminal())
        stack.callback(runner.leave)
        if plan.lanes == "auto":
            plan, _ = with_lanes_chosen(plan, job, stage, listener, runner.try_lanes)
            runner.have_lanes(None if plan.lanes == "auto" else plan.lanes)
        while not (stage.over or stage.trouble or sitting.stopping()):
            _fill(stage, runner)
            if runner.trials:
                _hear(stage, runner)
            elif not stage.over:
                time.sleep(LOOK_SECONDS)
        _keep(runner)
        over = stage.over and not stage.trouble
        if over:
            examination.on_new_worker(lambda verdict: _Examiner(runner, verdict))
    stage.cut_off()
    return Outcome(over and examination.settled, stage.reason, stage.trouble)


def _fill(stage: Stage, runner: TrialRunner) -> None:
    """Have a trial train in each free place, as far as there are any."""
    while len(runner.trials) < runner.places:
        spec = stage.next_trial()
        if spec is None:
            return
        stage.started(spec.trial)
        runner.take(spec)


def _hear(stage: Stage, runner: TrialRunner) -> None:
    """Train until there are reports, and hear them; a trial that goes no further leaves its place."""
    for report in runner.step():
        if not stage.heard(report):
            if stage.is_paused(report.trial):
                _keep(runner, [report.trial])
            runner.drop(report.trial)


def _keep(runner: TrialRunner, trials: Collection[str] | None = None) -> None:
    """Write states down; where that fails, a trial goes on from the state that was kept before."""
    for trial in runner.trials if trials is None else trials:
        with contextlib.suppress(OSError):
            runner.keep(trial)


@contextlib.contextmanager
def _breakpoints_at_the_terminal() -> Iterator[None]:
    """Have breakpoint() be Python's own: where Ray ran in this process before, it calls Ray's debugger."""
    theirs = os.environ.get("PYTHONBREAKPOINT", "")
    if not theirs.startswith("ray."):
        yield
        return
    del os.environ["PYTHONBREAKPOINT"]
    try:
        yield
    finally:
        os.environ["PYTHONBREAKPOINT"] = theirs


class _Runner(TrialRunner):
    """One in the driver's own process, which a trial must not end."""

    def surroundings(self, trial: str | None) -> AbstractContextManager[object]:
        """Return what keeps its code from ending the run, except by leaving the debugger."""
        return _in_this_process()


@contextlib.contextmanager
def _in_this_process() -> Iterator[None]:
    try:
        yield
    except SystemExit as error:
        raise TrialError(f"its code ended the process (exit code {exit_code(error)}).") from error
    except Exception as error:
        if isinstance(error, bdb.BdbQuit) or isinstance(error.__cause__, bdb.BdbQuit):
            raise StopNow from error
        raise


@dataclass(frozen=True)
class _Examiner:
    """Examines the winner while it is waited for."""

    runner: TrialRunner
    verdict: Verdict

    def answer(self, seconds: float) -> Mapping[str, Any] | Failure | None:
        """Return the scores, or what was raised."""
        return self.runner.examine(self.verdict)

    def end(self) -> None:
        """End nothing: nobody waits without an answer."""
