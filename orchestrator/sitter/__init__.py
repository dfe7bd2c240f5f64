"""The sitter: watches one model's epochs and days, says what it sees, limits what it may do.

Pure Python: no Keras, no Ray, no clock. To add a rule: a module here with its thresholds and what it makes of an epoch
or a day, a class of ``RuleOptions``, and its line in ``RULES`` (``sitter.py``). Its keys in an experiment file,
``--set``, the JSON Schema and what is refused follow from its options.
"""

from orchestrator.sitter.branch_and_compare import BranchAndCompareOptions, Kept, keep_best
from orchestrator.sitter.divergence import DivergenceOptions
from orchestrator.sitter.learning_rate_range import Suggestion, learning_rates, suggest
from orchestrator.sitter.overfitting import OverfittingOptions
from orchestrator.sitter.plateau import PlateauOptions
from orchestrator.sitter.rule import (
    DayRecord,
    Finding,
    Memory,
    RuleOptions,
    Watched,
    from_plain,
    known,
    to_plain,
)
from orchestrator.sitter.sitter import (
    RULES,
    Sitter,
    SitterOptions,
    WrittenSitter,
    after_change,
    after_own_rollback,
)

__all__ = [
    "RULES",
    "BranchAndCompareOptions",
    "DayRecord",
    "DivergenceOptions",
    "Finding",
    "Kept",
    "Memory",
    "OverfittingOptions",
    "PlateauOptions",
    "RuleOptions",
    "Sitter",
    "SitterOptions",
    "Suggestion",
    "Watched",
    "WrittenSitter",
    "after_change",
    "after_own_rollback",
    "from_plain",
    "keep_best",
    "known",
    "learning_rates",
    "suggest",
    "to_plain",
]
