"""Lanes: how many trials a worker trains side by side, where that is measured first; and such workers on Ray Tune.

A seat of Tune's is then a program of lanes: each of its steps reports of all trials in them, and a lane that falls free
is taken by the next trial while the others stay.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

import ray

from orchestrator.search import Plan, TrialSpec
from orchestrator.trials import Trainable
from orchestrator.tuning.conductor import KEEP_SECONDS, Conductor, asked_of
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.lane_choice import with_lanes_chosen
from orchestrator.tuning.protocol import Listener, Outcome, Report, Sitting, Verdict
from orchestrator.tuning.ray_internals import error_of, worker_of
from orchestrator.tuning.ray_tune import TrialScheduler
from orchestrator.tuning.stage import Stage
from orchestrator.tuning.trial_runner import TrialRunner
from orchestrator.tuning.tune import Engine, drivers_path
from orchestrator.tuning.tune import run_plan as run_on_tune
from orchestrator.tuning.worker import Worker, find_modules_of, from_worker_loss, runner_of


class LaneWorker(Worker):
    """Trains several trials at a time; ``take`` tells it of one, ``drop`` has it let go of one."""

    def setup(
        self,
        config: dict[str, Any],
        job: Trainable | None = None,
        path: Sequence[str] = (),
        ahead: bool = False,
    ) -> None:
        """Set nothing up yet, as Worker does not."""
        assert job is not None  # noqa: S101
        find_modules_of(path)
        self._lanes = runner_of(job, job.lanes or 1)  # type: ignore[attr-defined]

    def take(self, spec: TrialSpec) -> None:  # type: ignore[override]
        """Train one more trial."""
        self._lanes.take(spec)

    def drop(self, trial: str) -> None:
        """Train a trial no further."""
        self._lanes.drop(trial)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Be another seat: no trial has it yet."""
        for trial in self._lanes.trials:
            self._lanes.drop(trial)
        return True

    def step(self) -> dict[str, Any]:
        """Train until there is something to report of a trial; none where no trial came."""
        return {"reports": self._lanes.step() if self._lanes.trials else []}

    def keep(self, trial: str | None = None) -> None:
        """Write a trial's state down; None: that of each one, since the run is about to stop."""
        self._lanes.keep(trial)

    def examine(self, verdict: Verdict) -> Mapping[str, Any] | Failure:
        """Examine the winner and save it; return its scores, or what was raised."""
        return self._lanes.examine(verdict)


class LaneConductor(Conductor):
    """Hears the reports of a seat's trials, and has others take the lanes that fall free.

    Trials whose worker died with all of them train alone from then on: the one that ends its process ends no other.
    """

    def __init__(self, lanes: int, *given: Any) -> None:
        super().__init__(*given)
        self._lanes = lanes
        self._in: dict[str, set[str]] = {}
        self._alone: set[str] = set()

    def seat(self, seat: Any) -> bool:
        """Have trials take the free lanes of a seat; return whether it has any trial."""
        self._offered.discard(seat.trial_id)
        sitting = self._in.setdefault(seat.trial_id, set())
        worker = worker_of(seat)
        while worker is not None and len(sitting) < self._lanes and not sitting & self._alone:
            spec = None if self.stopping() else self._beside(sitting)
            if spec is None:
                break
            sitting.add(spec.trial)
            self._seats[spec.trial] = seat
            worker.take.remote(spec.redacted())
            self._stage.started(spec.trial)
        return bool(sitting)

    def _beside(self, sitting: Collection[str]) -> TrialSpec | None:
        """Return the next trial that may train beside those in a seat."""
        for spec in self._waiting:
            if not (sitting and spec.trial in self._alone):
                self._waiting.remove(spec)
                return spec
        while (following := self._next()) and sitting and following.trial in self._alone:
            self._waiting.append(following)
        return following

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Pass the reports on; fill the lanes of those that have ended, or have the winner examined after the last."""
        worker = worker_of(trial)
        for report in result["reports"]:
            self._hear(report, trial, worker)
        self._stage.look_ahead()  # what waits for a promotion that never comes ends here
        if self._stage.over and worker is not None:
            self._examination.on_last_worker(partial(asked_of, worker))
        elif self.seat(trial):
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)

    def _hear(self, report: Report, seat: Any, worker: Any) -> None:
        if self._stage.heard(report):
            return
        self._seats.pop(report.trial, None)
        self._in[seat.trial_id].discard(report.trial)
        if worker is not None:
            if self._stage.is_paused(report.trial):
                ray.wait([worker.keep.remote(report.trial)], timeout=KEEP_SECONDS)
            worker.drop.remote(report.trial)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Pass on that the worker of a seat's trials is gone."""
        self._offered.discard(trial.trial_id)
        names = self._in.pop(trial.trial_id, set())
        for name in names:
            self._seats.pop(name, None)
        failure = from_worker_loss(error_of(trial))
        if len(names) > 1:
            self._alone |= names if failure.kind != "node_lost" else set()
            self._stage.lost_together(sorted(names), failure)
        for name in names if len(names) == 1 else ():
            self._stage.lost(name, failure)

    def keep_states(self) -> None:
        """Have the trials in training write their states down, since the run is about to stop."""
        seats = {seat.trial_id: seat for seat in self._seats.values()}
        asked = [worker.keep.remote() for worker in map(worker_of, seats.values()) if worker]
        ray.wait(asked, num_returns=len(asked), timeout=KEEP_SECONDS) if asked else None


class LaneEngine(Engine):
    """Workers with lanes, as many as the plan has or as turn out to be best."""

    worker = LaneWorker

    def settled(
        self, plan: Plan, job: Trainable, stage: Stage, listener: Listener
    ) -> tuple[Plan, Trainable]:
        """Return both with the number of lanes; where it is to be measured, a process of its own does that."""
        return with_lanes_chosen(
            plan, job, stage, listener, partial(_asked_of_a_process, plan, job)
        )

    def conductor(self, plan: Plan, *given: Any) -> Conductor:
        """Return what hears them; where none turned out to be best, a worker trains one trial at a time."""
        return LaneConductor(plan.lanes or 1, *given)  # type: ignore[arg-type]


def _asked_of_a_process(
    plan: Plan, job: Trainable, spec: TrialSpec, most: int
) -> Mapping[str, Any] | Failure:
    """Have a process of its own, with a worker's resources, try lanes; it ends with that and frees its memory."""
    path = drivers_path()

    @ray.remote(num_cpus=plan.cpus_per_trial, num_gpus=plan.gpus_per_trial, max_calls=1)  # type: ignore[untyped-decorator]
    def try_lanes(spec: TrialSpec) -> Mapping[str, Any] | Failure:
        find_modules_of(path)
        return TrialRunner(job).try_lanes(spec.restored(), most)

    try:
        found: Mapping[str, Any] | Failure = ray.get(try_lanes.remote(spec.redacted()))
    except ray.exceptions.RayError as error:
        return from_worker_loss(error)
    return found


def run_plan(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    """Run every trial of a plan with lanes on Ray Tune, as ``tune.run_plan`` does."""
    return run_on_tune(plan, job, listener, sitting, LaneEngine())
