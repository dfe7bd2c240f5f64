"""Searches on recorded learning curves, in virtual time: no Ray, no Keras, no worker, no waiting.

The real ``Search`` of a real ``Plan``, so any searcher, scheduler and rounds, is told the epochs of a table.
"""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.simulation.between import Between, Curves, Rows, curves_between
    from orchestrator.simulation.recorded import (
        curve_columns,
        measured_costs,
        most_at_once,
        recorded_curves,
        rows_of,
    )
    from orchestrator.simulation.simulator import (
        Costs,
        Simulated,
        SimulatedTrial,
        Simulator,
        simulate_seeds,
    )
    from orchestrator.simulation.summary import BestBy, Estimate, Summary, Target, estimate
    from orchestrator.simulation.table import (
        Curve,
        CurveTable,
        curves_of,
        read_columns,
    )

__all__ = [
    "BestBy",
    "Between",
    "Costs",
    "Curve",
    "CurveTable",
    "Curves",
    "Estimate",
    "Rows",
    "Simulated",
    "SimulatedTrial",
    "Simulator",
    "Summary",
    "Target",
    "curve_columns",
    "curves_between",
    "curves_of",
    "estimate",
    "measured_costs",
    "most_at_once",
    "read_columns",
    "recorded_curves",
    "rows_of",
    "simulate_seeds",
]

load_when_used(__name__)
