"""The search: what a run is to do, and what it does next. Pure Python, usable without Ray or Keras.

An experiment becomes a plan (``make_plan``), whatever its strategy; a ``Search`` is asked for
the plan's trials one after another, told what happened to them, and decides who goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.search.plan import Nursery, Plan, Round, TrialSpec
    from orchestrator.search.search import Search
    from orchestrator.search.strategies import Ancestor, make_plan

__all__ = ["Ancestor", "Nursery", "Plan", "Round", "Search", "TrialSpec", "make_plan"]

load_when_used(__name__)
