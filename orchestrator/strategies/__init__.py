"""Strategies: an experiment becomes a plan. Nothing downstream asks which strategy it was."""

from orchestrator.strategies.plan import Plan, TrialSpec, make_plan

__all__ = ["Plan", "TrialSpec", "make_plan"]
