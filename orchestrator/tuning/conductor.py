"""Between Ray Tune and our records: hands out the plan's trials, hears their reports, decides who goes on.

Tune's own ASHA never stops a NaN, ends the whole run over a missing metric and forgets its rungs; ours is asked here.
An exception in a Tune scheduler ends the run, so nothing here may raise over what a trial reports.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import ray
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from orchestrator.records import TrialEnd
from orchestrator.redaction import redacted
from orchestrator.schedulers import Scheduler
from orchestrator.strategies import Plan, TrialSpec
from orchestrator.tuning.job import Listener, Report


class PlannedTrials(Searcher):  # type: ignore[misc]
    """Gives Ray Tune the plan's trials, one after another, and those that are added while it runs."""

    def __init__(self, specs: Sequence[TrialSpec]) -> None:
        super().__init__()
        self._waiting = deque(specs)
        self.complete = True

    def add(self, spec: TrialSpec) -> None:
        """Have one more trial run."""
        self._waiting.append(spec)

    def set_search_properties(
        self, metric: Any, mode: Any, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept Tune's settings; the plan has decided already."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's configuration, None while one may still come, or that there is none."""
        if self._waiting:
            return redacted(asdict(self._waiting.popleft()))  # Tune writes it into files of its own
        return Searcher.FINISHED if self.complete else None

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Learn nothing: random search has no memory."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the records hold all there is."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing."""


class Conductor(FIFOScheduler):  # type: ignore[misc]
    """Hears every report in the driver, asks the scheduler, and tells the listener."""

    _supports_buffered_results = False

    def __init__(
        self, plan: Plan, scheduler: Scheduler, listener: Listener, trials: PlannedTrials
    ) -> None:
        super().__init__()
        self._plan = plan
        self._scheduler = scheduler
        self._listener = listener
        self._trials = trials
        self._trials.complete = plan.nursery is None
        self._specs = {spec.trial: spec for spec in plan.trials}
        self._seconds: dict[str, float] = {}
        self._ended: set[str] = set()
        self.judged = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave all behind: Tune pickles its scheduler into a file nobody reads, and a view cannot be."""
        return {}

    @property
    def done(self) -> bool:
        """Return whether every planned trial has ended."""
        return len(self._ended) == len(self._specs)

    def start(self, trial: Any) -> None:
        """Tell the listener that a trial began."""
        self._listener.started(self._specs[trial.config["trial"]])

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Record the report's epochs, decide, and examine the winner after the last trial."""
        report: Report = result["report"]
        self._seconds[report.trial] = float(result["time_total_s"])
        if report.progress.rows:
            self._listener.epochs(report.progress.rows)
        if report.progress.journal:
            self._listener.journal(report.progress.journal)
        for branch in report.progress.branches:
            self._branch(branch)
        end = self._ending(report)
        if end is None:
            return str(TrialScheduler.CONTINUE)
        self._end(end, report.failure[1] if report.failure else None)
        if self.done:
            self._judge(trial.temporary_state.ray_actor)
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Record a trial whose worker died under it, unless Tune, which has stopped it then, starts it anew."""
        name = trial.config["trial"]
        if trial.status == "ERROR":
            return
        error = trial.get_error() if hasattr(trial, "get_error") else None
        first = "worker died: " + str(error or "the process ended").strip().split("\n")[0]
        self._end(
            TrialEnd(name, "failed", self._seconds.get(name, 0.0), error=first), str(error or first)
        )

    def _branch(self, branch: dict[str, Any]) -> None:
        """Have a branch of a babysat trial run beside it."""
        spec = TrialSpec(index=len(self._specs), branch=True, **branch)
        if spec.trial not in self._specs:
            self._specs[spec.trial] = spec
            self._trials.add(spec)

    def _ending(self, report: Report) -> TrialEnd | None:
        """Return how the trial ends with this report; None while it goes on."""
        about = {**report.about, "trial": report.trial, "seconds": self._seconds[report.trial]}
        stopped_by = self._decide(report)
        if report.failure:
            return TrialEnd(status="failed", error=report.failure[0], **about)
        if report.progress.diverged:
            return TrialEnd(status="diverged", **about)
        if report.progress.stopped:
            return TrialEnd(status="stopped", stopped_by={"scheduler": "panda"}, **about)
        if report.progress.done:
            return TrialEnd(status="finished", **about)
        if stopped_by:
            return TrialEnd(status="stopped", stopped_by=stopped_by, **about)
        return None

    def _decide(self, report: Report) -> dict[str, Any] | None:
        """Show the scheduler each epoch; return what it stopped the trial by."""
        for row in report.progress.rows:
            value = row["metrics"].get(self._plan.metric)
            decision = self._scheduler.report(report.trial, row["epoch"], value)
            if decision.stop:
                shown = value if value is not None and math.isfinite(value) else None
                return {
                    "scheduler": self._scheduler.name,
                    "epoch": row["epoch"],
                    "value": shown,
                    "cutoff": decision.cutoff,
                }
        return None

    def _end(self, end: TrialEnd, traceback: str | None) -> None:
        if end.trial not in self._ended:
            self._ended.add(end.trial)
            self._trials.complete = self.done or self._plan.nursery is None
            self._listener.ended(end, traceback)

    def _judge(self, worker: Any) -> None:
        """Let the last, still warm, worker examine the winner."""
        verdict = self._listener.verdict()
        if verdict is not None and worker is not None:
            with contextlib.suppress(ray.exceptions.RayError):  # a new worker gets another try
                metrics = ray.get(worker.judge.remote(verdict))
                self._listener.judged(metrics)
                self.judged = True
