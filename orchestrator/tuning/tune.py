"""Runs a plan on Ray Tune: has Ray, its workers and a conductor for as long as there are trials."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import ray

from orchestrator.errors import NotStarted
from orchestrator.search import Plan, TrialSpec
from orchestrator.trials import Trainable
from orchestrator.tuning.cluster import running_ray
from orchestrator.tuning.conductor import Conductor, PlannedSeats, StopWhenAsked, Watch
from orchestrator.tuning.examination import Examination
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.protocol import Listener, Outcome, Sitting, Verdict
from orchestrator.tuning.ray_internals import ended_with_ray, workers_like_all_others
from orchestrator.tuning.ray_tune import tune, without_datasets
from orchestrator.tuning.scratch import scratch_folder
from orchestrator.tuning.stage import Stage
from orchestrator.tuning.trial_runner import TrialRunner
from orchestrator.tuning.worker import RayExaminer, Worker, find_modules_of


class Engine:
    """What trains on Ray Tune, and who hears it: workers of one trial each.

    Workers on this machine are forks of the server whose socket is ``forks``, if there is one.
    """

    worker: type[Worker] = Worker

    def __init__(self, forks: Path | None = None) -> None:
        self.forks = forks

    def settled(
        self, plan: Plan, job: Trainable, stage: Stage, listener: Listener
    ) -> tuple[Plan, Trainable]:
        """Return a plan and a job in which nothing is left to be found out once Ray is there."""
        return plan, job

    def conductor(self, plan: Plan, *given: Any) -> Conductor:
        """Return a round's conductor."""
        return Conductor(*given)


ONE_TRIAL_EACH = Engine()


def run_plan(
    plan: Plan,
    job: Trainable,
    listener: Listener,
    sitting: Sitting,
    engine: Engine = ONE_TRIAL_EACH,
) -> Outcome:
    """Run every trial of ``plan``, telling ``listener`` what happens, and examine the winner.

    Raises NotStarted where Ray cannot be had; that of a run that was asked to stop meanwhile is no failure.
    """
    try:
        return _run_plan(plan, job, listener, sitting, engine)
    except NotStarted:
        if not sitting.stopping():
            raise
        return Outcome(ended=False)


def _run_plan(
    plan: Plan, job: Trainable, listener: Listener, sitting: Sitting, engine: Engine
) -> Outcome:
    asked_to_stop = sitting.stopping
    stage = Stage(plan, listener, sitting)
    sitting = replace(sitting, stopping=lambda: bool(stage.trouble) or asked_to_stop())
    at_once = plan.max_concurrent_trials or max(1, int(sitting.cores / plan.cpus_per_trial))
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(at_once))
    # Ray prints what befalls a worker on the driver's stdout, which belongs to machine formats.
    with (
        contextlib.redirect_stdout(sys.stderr),
        running_ray(sitting.cores, asked_to_stop, engine.forks),
        workers_like_all_others(),
        without_datasets(),
        ended_with_ray(lambda why: listener.event("run_interrupted", reason=why)),
        scratch_folder("orchestrator-tune-") as scratch,
    ):
        listener.waits_for("workers")
        plan, job = engine.settled(plan, job, stage, listener)
        rounds, waiting = _Rounds(plan, job, stage, scratch, engine), deque[TrialSpec]()
        examination = Examination(listener, sitting.stopping)
        while not stage.over and not sitting.stopping():
            rounds.run_one(engine.conductor(plan, stage, examination, sitting.stopping, waiting))
        over = stage.over and not stage.trouble
        if over and not examination.settled:
            examination.on_new_worker(partial(_asked_of_a_new_worker, job))
        stage.cut_off()
    return Outcome(over and examination.settled, stage.reason, stage.trouble)


@dataclass(frozen=True)
class _Rounds:
    """Ray Tune drivers, one after another: the records make the seam invisible."""

    plan: Plan
    job: Trainable
    stage: Stage
    scratch: str
    engine: Engine

    def run_one(self, conductor: Conductor) -> None:
        """Run the next trials, to the last one's end."""
        plan = self.plan
        resources = {"cpu": plan.cpus_per_trial, "gpu": plan.gpus_per_trial}
        trainable = tune.with_resources(
            tune.with_parameters(
                self.engine.worker,
                job=self.job,
                path=drivers_path(),
                ahead=plan.reports_decide_nothing,
            ),
            resources,
        )
        with tempfile.TemporaryDirectory(dir=self.scratch) as own:
            tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    num_samples=-1,
                    search_alg=PlannedSeats(conductor),
                    scheduler=conductor,
                    reuse_actors=True,
                ),
                run_config=self._run_config(conductor, own),
            ).fit()

    def _run_config(self, conductor: Conductor, own: str) -> Any:
        return tune.RunConfig(
            name="round",
            storage_path=own,
            verbose=0,
            callbacks=[Watch(conductor)],
            stop=StopWhenAsked(conductor),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
            failure_config=tune.FailureConfig(max_failures=0),
        )


def drivers_path() -> list[str]:
    """Return where the driver finds modules, and its current folder, as Ray has it."""
    here = str(Path.cwd())
    return [*dict.fromkeys([*(place or here for place in sys.path), here])]


def _asked_of_a_new_worker(job: Trainable, verdict: Verdict) -> RayExaminer:
    """Have a new worker examine the winner: the last trial's is gone, or could not."""
    path = drivers_path()

    @ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]
    def examine() -> Mapping[str, Any] | Failure:
        find_modules_of(path)
        return TrialRunner(job).examine(verdict)

    asked = examine.remote()
    return RayExaminer(asked, partial(ray.cancel, asked, force=True))
