"""What one hyperparameter may be, and on which scale; no framework, no files, no processes."""

from __future__ import annotations

from orchestrator.domains.conditions import Condition
from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.invalid import InvalidDomain
from orchestrator.domains.numeric import (
    Integer,
    LogInteger,
    LogUniform,
    OneMinusLogUniform,
    Uniform,
)
from orchestrator.domains.parse import Domain, parse_domain
from orchestrator.domains.space import Extreme, Space, extremes

__all__ = [
    "Choice",
    "Condition",
    "Domain",
    "Extreme",
    "Fixed",
    "Integer",
    "InvalidDomain",
    "LogInteger",
    "LogUniform",
    "OneMinusLogUniform",
    "Space",
    "Uniform",
    "extremes",
    "parse_domain",
]
