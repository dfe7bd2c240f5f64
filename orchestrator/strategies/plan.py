"""The plan: what both strategies become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.config import Experiment
from orchestrator.config.options import NoSchedulerOptions
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError
from orchestrator.records import Mode
from orchestrator.schedulers.registry import SchedulerOptions
from orchestrator.searchers.random import draw_trials, trial_seed


@dataclass(frozen=True)
class TrialSpec:
    """One trial before it starts. ``trial`` is its name, ``index`` its place in the seed's sequence of draws.

    ``checkpoint`` is the state it starts from, with ``changes`` made on it; a ``branch`` also shares the history of
    the trial whose state that is. ``origin`` tells where that came from: {run, trial, day, epoch}.
    """

    trial: str
    index: int
    seed: int
    hyperparameters: Mapping[str, Any]
    checkpoint: str | None = None
    branch: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Nursery:
    """How a plan's trials are babysat: their days, who watches, and what is changed when.

    ``schedule`` holds (finished epochs, changes), ascending; ``keep_days`` None keeps every day's end.
    """

    day: Day
    days: int
    sitter: SitterOptions
    learning_rate_test: bool
    keep_days: int | None
    schedule: tuple[tuple[int, Mapping[str, Any]], ...] = ()


@dataclass(frozen=True)
class Plan:
    """Which trials, for how many epochs each, under which scheduler, how many at once, and what stays on disk.

    ``max_concurrent_trials`` None means as many as the resources allow; ``keep_checkpoints`` counts over all trials.
    """

    trials: tuple[TrialSpec, ...]
    epochs: int
    metric: str
    mode: Mode
    scheduler: SchedulerOptions
    max_concurrent_trials: int | None
    cpus_per_trial: float
    gpus_per_trial: float
    keep_checkpoints: int
    recalibrate_every_validation: bool
    nursery: Nursery | None = None


def make_plan(experiment: Experiment, space: Space) -> Plan:
    """Return the plan of an experiment; the one place that asks which strategy it is."""
    if experiment.strategy == "panda":
        raise ExperimentFileError(
            "strategy: panda cannot be run yet. Received: 'panda'. Known: caviar (many trials in parallel)."
        )
    return caviar(experiment, space)


def caviar(experiment: Experiment, space: Space) -> Plan:
    """Train many models in parallel and keep the best."""
    options = experiment.caviar
    drawn = draw_trials(space, experiment.seed, options.num_samples)
    concurrent = options.max_concurrent_trials
    return _plan(
        experiment,
        tuple(
            TrialSpec(f"{index:05d}", index, trial_seed(experiment.seed, index), hyperparameters)
            for index, hyperparameters in enumerate(drawn)
        ),
        options.scheduler,
        None if concurrent == "auto" else concurrent,
    )


def _plan(
    experiment: Experiment,
    trials: tuple[TrialSpec, ...],
    scheduler: SchedulerOptions = NoSchedulerOptions(),  # noqa: B008  (frozen)
    max_concurrent_trials: int | None = None,
) -> Plan:
    return Plan(
        trials=trials,
        epochs=experiment.epochs,
        metric=experiment.metric,
        mode=experiment.mode,
        scheduler=scheduler,
        max_concurrent_trials=max_concurrent_trials,
        cpus_per_trial=experiment.resources.cpu,
        gpus_per_trial=experiment.resources.gpu,
        keep_checkpoints=experiment.keep_checkpoints,
        recalibrate_every_validation=experiment.recalibrate_batch_norm == "every_validation",
    )
