"""What is left of a run, as its search would give it to workers one after another."""

from __future__ import annotations

import copy

from orchestrator.search import Search
from orchestrator.search.steps import Resume, Start


def coming(search: Search) -> list:
    """The trials that a search would give, if none of them ended meanwhile; the search stays as it is."""
    search, specs = copy.deepcopy(search), []
    while isinstance(step := search.next(), Start | Resume):
        specs.append(step.spec)
    return specs
