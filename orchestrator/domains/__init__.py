"""What one hyperparameter may be, and on which scale; no framework, no files, no processes."""

from __future__ import annotations

from orchestrator.domains.conditions import Condition
from orchestrator.domains.extremes import Extreme, extremes
from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.numeric import Integer, LogInteger, LogUniform, Uniform
from orchestrator.domains.one_minus import OneMinusLogUniform
from orchestrator.domains.parse import Domain, parse_domain
from orchestrator.domains.refusal import Refused
from orchestrator.domains.space import Space

__all__ = [
    "Choice",
    "Condition",
    "Domain",
    "Extreme",
    "Fixed",
    "Integer",
    "LogInteger",
    "LogUniform",
    "OneMinusLogUniform",
    "Refused",
    "Space",
    "Uniform",
    "extremes",
    "parse_domain",
]
