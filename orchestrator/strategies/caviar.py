"""Caviar: train many models in parallel and keep the best."""

from __future__ import annotations

from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.strategies.plan import Draws, Plan, plan_of
from orchestrator.strategies.users_scheduler import scheduler_of


def caviar(experiment: Experiment, space: Space) -> Plan:
    """Plan ``num_samples`` trials drawn from the space under the experiment's scheduler."""
    options = experiment.caviar
    concurrent = options.max_concurrent_trials
    return plan_of(
        experiment,
        Draws(space, experiment.seed, options.num_samples),
        space,
        scheduler=scheduler_of(experiment),
        max_concurrent_trials=None if concurrent == "auto" else concurrent,
    )
