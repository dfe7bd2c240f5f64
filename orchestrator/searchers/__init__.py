"""Searchers: which configuration comes next. Pure Python, usable without Ray or Keras."""

from orchestrator.searchers.random import draw_trials

__all__ = ["draw_trials"]
