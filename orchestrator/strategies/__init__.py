"""Strategies: an experiment becomes a plan. Nothing downstream asks which strategy it was."""

from __future__ import annotations

from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.strategies.caviar import caviar
from orchestrator.strategies.panda import Ancestor, panda
from orchestrator.strategies.plan import Draws, Nursery, Plan, TrialSpec
from orchestrator.strategies.search import Search

__all__ = ["Ancestor", "Draws", "Nursery", "Plan", "Search", "TrialSpec", "make_plan"]


def make_plan(experiment: Experiment, space: Space, ancestor: Ancestor | None = None) -> Plan:
    """Return an experiment's plan: the one place that asks which strategy it is."""
    if experiment.strategy == "panda":
        return panda(experiment, space, ancestor)
    return caviar(experiment, space)
