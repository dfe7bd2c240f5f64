"""Caviar: train many models in parallel and keep the best."""

from __future__ import annotations

from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.searchers.random import draw_trials, trial_seed
from orchestrator.strategies.plan import Plan, TrialSpec, plan_of
from orchestrator.strategies.users_scheduler import scheduler_of


def caviar(experiment: Experiment, space: Space) -> Plan:
    """Plan ``num_samples`` trials drawn from the space under the experiment's scheduler."""
    options = experiment.caviar
    drawn = draw_trials(space, experiment.seed, options.num_samples)
    trials = tuple(
        TrialSpec(f"{index:05d}", index, trial_seed(experiment.seed, index), hyperparameters)
        for index, hyperparameters in enumerate(drawn)
    )
    concurrent = options.max_concurrent_trials
    return plan_of(
        experiment,
        trials,
        space,
        scheduler=scheduler_of(experiment),
        max_concurrent_trials=None if concurrent == "auto" else concurrent,
    )
