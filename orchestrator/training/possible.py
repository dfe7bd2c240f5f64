"""Values that training can make sense of, whoever asks for them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, get_args

from orchestrator.config import Recalibration
from orchestrator.errors import RequestError, explain
from orchestrator.training.decay import AT_MOST_1, SCHEDULES
from orchestrator.training.hyperparameters import (
    DEFAULTS,
    LIVE,
    OF_THE_RATE,
    OPTIMIZER_READS,
    read_by_training,
)

OPTIONS: dict[str, tuple[str, ...]] = {
    "optimizer": tuple(OPTIMIZER_READS),
    "decay_schedule": tuple(SCHEDULES),
    "recalibrate_batch_norm": get_args(Recalibration),
}
SHARES = frozenset({"momentum", "beta_1", "beta_2", "batch_norm_momentum", "label_smoothing"})
POSITIVE = frozenset({"learning_rate"})
NOT_NEGATIVE = frozenset({"learning_rate_decay", "weight_decay", "epsilon"})
NUMBERS = SHARES | POSITIVE | NOT_NEGATIVE
NEEDED = frozenset({"optimizer", "learning_rate", "batch_size"})
"""What no trial can do without: where a null is drawn, nothing else steps in."""
LARGEST_BATCH = 2**31 - 1
"""The compiled epoch counts rows in 32 bits."""
COMPANION = "one_minus_"
"""What the name of a 1-β begins with, which goes along with its β and which nothing reads."""


@dataclass(frozen=True)
class Impossible:
    """Why training can make no sense of a value: what would have been right, by name where there are few."""

    expected: str
    known: tuple[str, ...] = ()


def impossible(name: str, value: Any) -> Impossible | None:
    """Return why training can make no sense of a hyperparameter's value; None where it can."""
    if isinstance(value, float) and not math.isfinite(value):
        return Impossible("expected a finite number")
    if value is None:
        return Impossible(f"expected a value, like {DEFAULTS[name]!r}") if name in NEEDED else None
    if name in OPTIONS:
        known = isinstance(value, str) and value.lower() in OPTIONS[name]
        return None if known else Impossible("expected one of its options", OPTIONS[name])
    if name in NUMBERS | {"batch_size"}:
        return _impossible_number(name, value)
    return None


def _impossible_number(name: str, value: Any) -> Impossible | None:
    if isinstance(value, bool) or not isinstance(value, Real):
        return Impossible("expected a finite number")
    number = float(value)
    if name in SHARES and not 0 <= number < 1:
        return Impossible("expected at least 0 and less than 1")
    if name in POSITIVE and number <= 0:
        return Impossible("expected a number above 0")
    if name in NOT_NEGATIVE and number < 0:
        return Impossible("expected at least 0")
    if name == "batch_size" and (number < 1 or number != int(number)):
        return Impossible("expected a whole number above 0")
    if name == "batch_size" and number > LARGEST_BATCH:
        return Impossible(f"expected at most {LARGEST_BATCH}")
    return None


def impossible_decay(rate: Any, schedule: Any) -> Impossible | None:
    """Return why α cannot decay at that rate under that schedule: it would fall below 0."""
    if schedule in AT_MOST_1 and isinstance(rate, Real) and float(rate) > 1:
        expected = f"expected at most 1 with decay_schedule {schedule}, since α would fall below 0"
        return Impossible(expected)
    return None


def check_possible(name: str, value: Any) -> None:
    """Raise RequestError for a value that no training could make sense of."""
    if value is None and DEFAULTS.get(name) is not None:
        raise RequestError(explain(name, f"expected a value, like {DEFAULTS[name]!r}", value))
    fault = impossible(name, value)
    if fault is not None:
        raise RequestError(explain(name, fault.expected, value, fault.known))


def read_while_training(optimizer: str | None, has_rate: bool = True) -> frozenset[str]:
    """Return what training itself reads under an optimizer; None is one that the model's builder made.

    ``has_rate``: whether α of that one can be set.
    """
    of_optimizers = frozenset().union(*OPTIMIZER_READS.values())
    if optimizer is None:
        always = {"batch_size", "batch_norm_momentum", "recalibrate_batch_norm"}
        return frozenset(always | OF_THE_RATE if has_rate else always)
    return read_by_training([optimizer]) | (LIVE - of_optimizers)


def check_read(changes: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise RequestError for a hyperparameter that nothing reads; a 1-β goes with its β."""
    for name in changes:
        if name not in known and name.removeprefix(COMPANION) not in known:
            expected = "expected a hyperparameter that the model or training reads"
            raise RequestError(explain(f"set {name}", expected, name, known))
