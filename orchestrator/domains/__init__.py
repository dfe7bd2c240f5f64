"""What one hyperparameter may be, and on which scale; no framework, no files, no processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.domains.combinations import Combinations, Shuffle, values_of
    from orchestrator.domains.finite import Choice, Fixed
    from orchestrator.domains.normal import LogNormal, Normal
    from orchestrator.domains.numeric import (
        Integer,
        LogInteger,
        LogUniform,
        OneMinusLogUniform,
        Uniform,
    )
    from orchestrator.domains.parse import Domain, parse_domain
    from orchestrator.domains.prior import Prior
    from orchestrator.domains.space import Extreme, Space, extremes
    from orchestrator.domains.values import Condition, InvalidDomain

__all__ = [
    "Choice",
    "Combinations",
    "Condition",
    "Domain",
    "Extreme",
    "Fixed",
    "Integer",
    "InvalidDomain",
    "LogInteger",
    "LogNormal",
    "LogUniform",
    "Normal",
    "OneMinusLogUniform",
    "Prior",
    "Shuffle",
    "Space",
    "Uniform",
    "extremes",
    "parse_domain",
    "values_of",
]

load_when_used(__name__)
