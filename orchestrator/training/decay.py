"""Learning-rate decay by epoch: α as a pure function of the epoch, set between two epochs without recompiling."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from orchestrator.errors import TrialError, explain


def _none(rate: float, epoch: int, epochs: int) -> float:
    """Stay at α."""
    return 1.0


def _inverse_time(rate: float, epoch: int, epochs: int) -> float:
    """Return 1 / (1 + decay · epoch)."""
    return 1.0 / (1.0 + rate * epoch)


def _exponential(rate: float, epoch: int, epochs: int) -> float:
    """Return (1 - decay)^epoch: a decay of 0.05 is the textbook's 0.95^epoch."""
    return (1.0 - rate) ** epoch


def _sqrt(rate: float, epoch: int, epochs: int) -> float:
    """Return 1 / sqrt(1 + decay · epoch)."""
    return 1.0 / math.sqrt(1.0 + rate * epoch)


def _cosine(rate: float, epoch: int, epochs: int) -> float:
    """Return half a cosine from 1 towards 1 - decay, reached when all epochs are done (Loshchilov & Hutter 2017)."""
    return 1.0 - rate * 0.5 * (1.0 - math.cos(math.pi * epoch / max(1, epochs)))


SCHEDULES: dict[str, Callable[[float, int, int], float]] = {
    "none": _none,
    "inverse_time": _inverse_time,
    "exponential": _exponential,
    "sqrt": _sqrt,
    "cosine": _cosine,
}


AT_MOST_1 = frozenset({"exponential", "cosine"})
"""The schedules whose decay is a share of α: with more than 1, α would fall below 0."""

LOOK_AHEAD = frozenset({"cosine"})
"""The schedules that depend on how many epochs there will be: with more of them the first ones differ too."""


def looks_ahead(hyperparameters: Mapping[str, object]) -> bool:
    """Return whether α in the first epochs depends on the number of the last one."""
    rate = float(str(hyperparameters.get("learning_rate_decay") or 0.0))
    return rate != 0 and hyperparameters.get("decay_schedule") in LOOK_AHEAD


def learning_rate_at(hyperparameters: dict[str, object], epoch: int, epochs: int) -> float:
    """Return α in force during ``epoch`` (counted from 0) of ``epochs``.

    Raises TrialError for an unknown ``decay_schedule``.
    """
    alpha = float(str(hyperparameters["learning_rate"]))
    rate = float(str(hyperparameters.get("learning_rate_decay") or 0.0))
    name = str(hyperparameters.get("decay_schedule") or "none")
    if name not in SCHEDULES:
        raise TrialError(explain("decay_schedule", "expected a known schedule", name, SCHEDULES))
    return alpha * SCHEDULES[name](rate, epoch, epochs) if rate else alpha
