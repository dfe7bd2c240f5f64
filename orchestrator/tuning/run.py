"""Runs a plan on Ray Tune."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from typing import Any

import ray
from ray import tune

from orchestrator.redaction import conceal
from orchestrator.schedulers import Scheduler, make_scheduler
from orchestrator.strategies import Plan
from orchestrator.tuning.cluster import running_ray
from orchestrator.tuning.conductor import Conductor, PlannedTrials
from orchestrator.tuning.domains import to_tune_space
from orchestrator.tuning.job import Job, Listener
from orchestrator.tuning.worker import Worker

WORKERS_LOST = 2
"""How often a babysat trial whose worker died is taken up again by another, from its last report."""


class _Starts(tune.Callback):  # type: ignore[misc]
    """Tells the conductor when Ray Tune starts a trial: schedulers are not told."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Pass it on."""
        self._conductor.start(trial)


def run_plan(
    plan: Plan, job: Job, listener: Listener, cores: int, scheduler: Scheduler | None = None
) -> bool:
    """Run every trial of ``plan``, telling ``listener`` what happens; return whether all of them ended.

    ``cores`` is how many CPUs a cluster started for this run offers. ``scheduler`` is one that knows earlier epochs
    of the run; left out, it is the plan's, new. False means the run was interrupted.
    """
    scheduler = scheduler or make_scheduler(plan.scheduler, plan.epochs, plan.mode)
    trials = PlannedTrials(plan.trials)
    conductor = Conductor(plan, scheduler, listener, trials)
    at_once = plan.max_concurrent_trials or max(1, int(cores / plan.cpus_per_trial))
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(at_once))
    # Ray prints what befalls a worker on the driver's stdout, which belongs to machine formats.
    with (
        contextlib.redirect_stdout(sys.stderr),
        running_ray(cores),
        tempfile.TemporaryDirectory(prefix="orchestrator-tune-") as scratch,
    ):
        if plan.trials:
            _tuner(plan, job, (trials, conductor), scratch).fit()
        if conductor.done and not conductor.judged:
            _judge_in_new_worker(job, listener)
    return conductor.done


def _tuner(plan: Plan, job: Job, ours: tuple[PlannedTrials, Conductor], scratch: str) -> Any:
    trials, conductor = ours
    resources = {"cpu": plan.cpus_per_trial, "gpu": plan.gpus_per_trial}
    trainable = tune.with_resources(tune.with_parameters(Worker, job=job), resources)
    return tune.Tuner(
        trainable,
        param_space=to_tune_space(plan.space),
        tune_config=tune.TuneConfig(
            num_samples=-1 if plan.nursery else len(plan.trials),
            search_alg=trials,
            scheduler=conductor,
            max_concurrent_trials=plan.max_concurrent_trials,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name="run",
            storage_path=scratch,
            verbose=0,
            callbacks=[_Starts(conductor)],
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
            failure_config=tune.FailureConfig(max_failures=WORKERS_LOST if plan.nursery else 0),
        ),
    )


def _judge_in_new_worker(job: Job, listener: Listener) -> None:
    """Examine the winner where the last worker is gone."""
    verdict = listener.verdict()
    if verdict is None:
        return

    @ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]
    def examine() -> dict[str, Any]:
        from orchestrator.training.worker_process import prepare_tensorflow

        conceal(job.secrets)
        prepare_tensorflow(job.threads)
        from orchestrator.training.judge import judge
        from orchestrator.training.trainer import Trainer

        return judge(Trainer(job.task), verdict.checkpoint, verdict.best)

    listener.judged(ray.get(examine.remote()))
