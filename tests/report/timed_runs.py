"""Runs in virtual time over recorded curves, told to a ``Progress`` as a driver would tell them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import parse_experiment
from orchestrator.experiment.prepared import space_of
from orchestrator.records import TrialEnd, TrialStarted, TrialWaits
from orchestrator.report.live.progress import Progress
from orchestrator.search.strategies import make_plan
from orchestrator.simulation import Costs, Simulator, curves_between, curves_of, read_columns

TABLES = Path(__file__).parents[2] / "benchmarks" / "tables"
TIME = "2026-11-05T10:00:00+00:00"


@dataclass(frozen=True)
class Shown:
    """What was shown after an epoch: at which second, the seconds left then (None: nothing), and trials ended."""

    at: float
    left: float | None
    ended: int


class TimedRun(Simulator):
    """A simulated run that a view follows."""

    def __init__(self, plan, curves, costs):
        super().__init__(plan, curves, costs)
        self.progress = Progress(
            plan.trials_in_all, plan.epochs, plan.metric, plan.mode, now=lambda: self._clock.now
        )
        self.shown = []

    def _begin(self, training, cost):
        spec = training.spec
        if training.epoch == 0:
            self.progress.apply(
                TrialStarted(spec.trial, spec.index, spec.seed, spec.hyperparameters, TIME)
            )
        else:
            self.progress.apply(TrialWaits(spec.trial, waits=False))
        super()._begin(training, cost)

    def _note(self, training, row):
        super()._note(training, row)
        self.progress.apply(row)

    def _epoch(self, training):
        super()._epoch(training)
        if training.spec.trial in self._search.paused:
            self.progress.apply(TrialWaits(training.spec.trial))
        ended = self.progress.ended + len(self.progress.state.waiting)
        self.shown.append(Shown(self._clock.now, self.progress.seconds_left(), ended))

    def _end(self, training, status, unknown=False):
        super()._end(training, status, unknown)
        self.progress.apply(TrialEnd(training.spec.trial, status, training.seconds))


def timed_run(scheduler, seed=0, trials=64, workers=4, table="digits", start=2.0):
    """Return what a run over a table of curves showed, epoch by epoch, and when it ended."""
    experiment = parse_experiment(
        {
            "name": "timed", "model": "mlp", "data": table, "search_space": "mlp", "seed": seed,
            "metric": "val_accuracy", "epochs": 27,
            "caviar": {"num_samples": trials, "scheduler": scheduler},
        }
    )  # fmt: skip
    space = space_of(experiment)
    plan = make_plan(experiment, space)
    file = TABLES / f"{table}.parquet"
    table = curves_of(read_columns(file), str(file), space, plan.metric)
    curves = curves_between("rows", table, plan.space)
    run = TimedRun(plan, curves, Costs(workers, start=start))
    return run.run().seconds, run.shown
