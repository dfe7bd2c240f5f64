"""Searches on recorded learning curves, in virtual time: no Ray, no Keras, no worker, no waiting.

The real ``Search`` of a real ``Plan``, so any searcher, scheduler and rounds, is told the epochs of a table.
"""

from orchestrator.simulation.between import Between
from orchestrator.simulation.simulator import Costs, Simulated, SimulatedTrial, Simulator
from orchestrator.simulation.table import Curve, CurveTable, curves_of, read_curves

__all__ = [
    "Between",
    "Costs",
    "Curve",
    "CurveTable",
    "Simulated",
    "SimulatedTrial",
    "Simulator",
    "curves_of",
    "read_curves",
]
