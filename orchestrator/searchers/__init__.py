"""Searchers: which hyperparameters the next trial gets. Pure Python, told what happened, rebuilt from records.

To add one: a module here with its options, a class of ``SearcherOptions``, and a line in ``SEARCHERS``. How a file
writes it, ``--set``, the JSON Schema and what is refused follow from its options.
"""

from orchestrator.searchers.cqr import CqrOptions
from orchestrator.searchers.gp import GpOptions
from orchestrator.searchers.grid import GridOptions
from orchestrator.searchers.priorband import PriorBandOptions
from orchestrator.searchers.random import RandomOptions
from orchestrator.searchers.searcher import (
    Observation,
    Searcher,
    SearcherMaker,
    SearcherOptions,
    complete,
    misfit,
)
from orchestrator.searchers.sobol import SobolOptions
from orchestrator.searchers.tpe import TpeOptions

__all__ = [
    "SEARCHERS",
    "GridOptions",
    "Observation",
    "RandomOptions",
    "Searcher",
    "SearcherMaker",
    "SearcherOptions",
    "SobolOptions",
    "complete",
    "misfit",
    "name_of",
]

SEARCHERS: dict[str, type[SearcherOptions]] = {
    "random": RandomOptions,
    "sobol": SobolOptions,
    "grid": GridOptions,
    "tpe": TpeOptions,
    "gp": GpOptions,
    "cqr": CqrOptions,
    "priorband": PriorBandOptions,
}


def name_of(searcher: SearcherMaker) -> str:
    """Return the name of a searcher of ours; its class's for another one."""
    kind = type(searcher)
    return next((name for name, ours in SEARCHERS.items() if ours is kind), kind.__name__)
