"""Values that training can make sense of, whoever asks for them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from numbers import Real
from typing import Any

from orchestrator.errors import RequestError, explain
from orchestrator.training.decay import SCHEDULES
from orchestrator.training.hyperparameters import DEFAULTS, LIVE, OPTIMIZER_READS, read_by_training

OPTIONS: dict[str, tuple[str, ...]] = {
    "optimizer": tuple(OPTIMIZER_READS),
    "decay_schedule": tuple(SCHEDULES),
    "recalibrate_batch_norm": ("final", "every_validation"),
}
SHARES = frozenset({"momentum", "beta_1", "beta_2", "batch_norm_momentum", "label_smoothing"})
NOT_NEGATIVE = frozenset({"learning_rate", "learning_rate_decay", "weight_decay", "epsilon"})
COMPANION = "one_minus_"
"""What the name of a 1-β begins with, which goes along with its β and which nothing reads."""


def check_possible(name: str, value: Any) -> None:
    """Raise RequestError for a value that no training could make sense of."""
    if isinstance(value, float) and not math.isfinite(value):
        raise RequestError(explain(name, "expected a finite number", value))
    if name in OPTIONS and value is not None and value not in OPTIONS[name]:
        raise RequestError(explain(name, "expected one of its options", value, OPTIONS[name]))
    if value is None and DEFAULTS.get(name) is not None:
        raise RequestError(explain(name, f"expected a value, like {DEFAULTS[name]!r}", value))
    if value is None or name not in SHARES | NOT_NEGATIVE | {"batch_size"}:
        return
    if isinstance(value, bool) or not isinstance(value, Real):
        raise RequestError(explain(name, "expected a finite number", value))
    number = float(value)
    if name in SHARES and not 0 <= number < 1:
        raise RequestError(explain(name, "expected at least 0 and less than 1", value))
    if name in NOT_NEGATIVE and number < 0:
        raise RequestError(explain(name, "expected at least 0", value))
    if name == "batch_size" and (number < 1 or number != int(number)):
        raise RequestError(explain(name, "expected a whole number above 0", value))


def read_while_training(optimizer: str | None, has_rate: bool = True) -> frozenset[str]:
    """Return what training itself reads under an optimizer; None is one that the model's builder made.

    ``has_rate``: whether α of that one can be set.
    """
    of_optimizers = frozenset().union(*OPTIMIZER_READS.values())
    if optimizer is None:
        always = {"batch_size", "batch_norm_momentum", "recalibrate_batch_norm"}
        rate = {"learning_rate", "learning_rate_decay", "decay_schedule"}
        return frozenset(always | rate if has_rate else always)
    return read_by_training([optimizer]) | (LIVE - of_optimizers)


def check_read(changes: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise RequestError for a hyperparameter that nothing reads; a 1-β goes with its β."""
    for name in changes:
        if name not in known and name.removeprefix(COMPANION) not in known:
            expected = "expected a hyperparameter that the model or training reads"
            raise RequestError(explain(f"set {name}", expected, name, known))
