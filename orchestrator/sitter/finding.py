"""What a sitter is shown at the end of a day, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Action = Literal["none", "rollback", "stop", "branch_and_compare"]


@dataclass(frozen=True)
class DayRecord:
    """A day's end: its number, the epochs finished by then, their last metrics, what was in force.

    Day 0 is the untrained model. Showing it is worth an evaluation: with its ``loss`` a divergence
    in the very first epoch is seen, with its metric a model that never learnt anything is.
    """

    day: int
    epoch: int
    metrics: Mapping[str, Any]
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One thing a rule saw, the numbers it rests on, and what would be done about it.

    ``to_day`` is the day meant by ``to`` (0: before training); ``changes`` holds new values;
    ``candidates`` holds the learning rates that ``branch_and_compare`` tries, for ``epochs`` each.
    """

    rule: str
    text: str
    evidence: Mapping[str, Any]
    action: Action = "none"
    to: Literal["last_good_day", "best"] | None = None
    to_day: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    candidates: tuple[float, ...] = ()
    epochs: int = 0
    verdict: str | None = None
