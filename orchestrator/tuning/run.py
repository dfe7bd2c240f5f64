"""Runs a plan on Ray Tune, in rounds."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import ray
from ray import tune

from orchestrator.search import Plan
from orchestrator.trials import Trainable
from orchestrator.tuning.cluster import running_ray
from orchestrator.tuning.conductor import Conductor, PlannedTrials, StopWhenAsked, Watch
from orchestrator.tuning.examination import Examination
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.job import Listener, Outcome, Sitting, Verdict
from orchestrator.tuning.ray_workers import RayExaminer
from orchestrator.tuning.scratch import scratch_folder
from orchestrator.tuning.stage import Stage
from orchestrator.tuning.trial_runner import TrialRunner
from orchestrator.tuning.worker import Worker

TRIALS_A_ROUND = 1000
"""Tune's bookkeeping, and what each of its steps costs, grow with the trials it has seen: a round begins with none."""


def run_plan(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    """Run every trial of ``plan``, telling ``listener`` what happens, and examine the winner."""
    asked_to_stop = sitting.stopping
    stage = Stage(plan, listener, sitting)
    sitting = replace(sitting, stopping=lambda: bool(stage.trouble) or asked_to_stop())
    at_once = plan.max_concurrent_trials or max(1, int(sitting.cores / plan.cpus_per_trial))
    os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", str(at_once))
    # Ray prints what befalls a worker on the driver's stdout, which belongs to machine formats.
    with (
        contextlib.redirect_stdout(sys.stderr),
        running_ray(sitting.cores),
        scratch_folder("orchestrator-tune-") as scratch,
    ):
        rounds = _Rounds(plan, job, stage, scratch)
        examination = Examination(listener, sitting.stopping)
        while not stage.over and not sitting.stopping():
            rounds.run_one(Conductor(stage, examination), sitting)
        over = stage.over and not stage.trouble
        if over and not examination.settled:
            examination.by_a_new_one(partial(_asked_anew, job))
        stage.cut_off()
    return Outcome(over and examination.settled, stage.reason, stage.trouble)


@dataclass(frozen=True)
class _Rounds:
    """Ray Tune drivers, one after another: the records make the seam invisible."""

    plan: Plan
    job: Trainable
    stage: Stage
    scratch: str

    def run_one(self, conductor: Conductor, sitting: Sitting) -> None:
        """Run the next trials, to the last one's end."""
        plan = self.plan
        resources = {"cpu": plan.cpus_per_trial, "gpu": plan.gpus_per_trial}
        trainable = tune.with_resources(tune.with_parameters(Worker, job=self.job), resources)
        with tempfile.TemporaryDirectory(dir=self.scratch) as own:
            tune.Tuner(
                trainable,
                tune_config=tune.TuneConfig(
                    num_samples=-1,
                    search_alg=PlannedTrials(self.stage, sitting.stopping, TRIALS_A_ROUND),
                    scheduler=conductor,
                    reuse_actors=True,
                ),
                run_config=self._run_config(conductor, sitting, own),
            ).fit()

    def _run_config(self, conductor: Conductor, sitting: Sitting, own: str) -> Any:
        return tune.RunConfig(
            name="round",
            storage_path=own,
            verbose=0,
            callbacks=[Watch(conductor)],
            stop=StopWhenAsked(conductor, sitting.stopping),
            checkpoint_config=tune.CheckpointConfig(
                checkpoint_frequency=0, checkpoint_at_end=False
            ),
            failure_config=tune.FailureConfig(max_failures=0),
        )


def _asked_anew(job: Trainable, verdict: Verdict) -> RayExaminer:
    """Have a new worker examine the winner: the last trial's is gone, or could not."""

    @ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]
    def examine() -> Mapping[str, Any] | Failure:
        return TrialRunner(job).examine(verdict)

    asked = examine.remote()
    return RayExaminer(asked, partial(ray.cancel, asked, force=True))
