"""What a run's records say: which hyperparameters mattered, and what stands out. Pure: records in, values out.

Optuna and SciPy are imported when a question needs them.
"""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.analysis.case import Finding
    from orchestrator.analysis.compared import number, score_among, seen_trials
    from orchestrator.analysis.diagnosis import RULES, diagnose
    from orchestrator.analysis.importance import USUAL, Estimate, Importance, Weight, importance
    from orchestrator.analysis.patterns import difference_noise

__all__ = [
    "RULES",
    "USUAL",
    "Estimate",
    "Finding",
    "Importance",
    "Weight",
    "diagnose",
    "difference_noise",
    "importance",
    "number",
    "score_among",
    "seen_trials",
]

load_when_used(__name__)
