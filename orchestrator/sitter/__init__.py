"""The sitter: watches one model's epochs and days, says what it sees, limits what it may do.

Pure Python: no Keras, no Ray, no clock. To add a rule: a module here whose function takes the
memory and what was seen and gives back the memory and a finding, its thresholds in
``orchestrator.config.panda_options``, and its line in ``Sitter``.
"""

from orchestrator.sitter.branch_and_compare import Kept, keep_best
from orchestrator.sitter.finding import DayRecord, Finding
from orchestrator.sitter.learning_rate_range import Suggestion, learning_rates, suggest
from orchestrator.sitter.memory import Memory, from_plain, known, to_plain
from orchestrator.sitter.sitter import Sitter, after_change, after_own_rollback

__all__ = [
    "DayRecord",
    "Finding",
    "Kept",
    "Memory",
    "Sitter",
    "Suggestion",
    "after_change",
    "after_own_rollback",
    "from_plain",
    "keep_best",
    "known",
    "learning_rates",
    "suggest",
    "to_plain",
]
