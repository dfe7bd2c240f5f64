"""Hyperparameters that training and the bundled models read: defaults, who reads which, and which values make sense."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, get_args

from orchestrator.config import Recalibration
from orchestrator.errors import RequestError, TrialError, explain
from orchestrator.training.decay import AT_MOST_1, SCHEDULES

DEFAULTS: dict[str, Any] = {
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "momentum": 0.9,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-7,
    "weight_decay": None,
    "learning_rate_decay": 0.0,
    "decay_schedule": "inverse_time",
    "batch_size": 64,
    "label_smoothing": 0.0,
}

OPTIMIZER_READS: dict[str, frozenset[str]] = {
    "sgd": frozenset({"momentum"}),
    "adam": frozenset({"beta_1", "beta_2", "epsilon"}),
    "adamw": frozenset({"beta_1", "beta_2", "epsilon"}),
    "rmsprop": frozenset({"beta_2", "momentum", "epsilon"}),
}
"""RMSprop's decay of the squared gradients, Keras's ``rho``, is β2 here as in Adam, whose second moment it is."""

ALWAYS_READ = frozenset(
    {
        "optimizer",
        "learning_rate",
        "learning_rate_decay",
        "decay_schedule",
        "batch_size",
        "weight_decay",
        "label_smoothing",
        "recalibrate_batch_norm",
    }
)

RATE_NAMES = frozenset({"learning_rate", "learning_rate_decay", "decay_schedule"})
"""What makes α: training sets it in a builder's own optimizer too, where it is no schedule."""

OWN_DEFAULTS: dict[str, Any] = {
    name: DEFAULTS[name] for name in ("batch_size", "learning_rate_decay", "decay_schedule")
}
"""What training adds where the model's builder compiled it: everything else is the builder's."""

LIVE = frozenset(
    {
        "learning_rate",
        "momentum",
        "beta_1",
        "beta_2",
        "epsilon",
        "weight_decay",
        "batch_size",
        "learning_rate_decay",
        "decay_schedule",
        "batch_norm_momentum",
        "recalibrate_batch_norm",
    }
)
"""What changes on a live model without building it again, unless its own builder reads it."""

ADAMW_WEIGHT_DECAY = 0.004
"""Keras's own default for AdamW."""


def read_by_training(optimizers: Iterable[str]) -> frozenset[str]:
    """Return the names that training reads when any of ``optimizers`` may be used."""
    reads = (OPTIMIZER_READS.get(name.lower(), frozenset()) for name in optimizers)
    return ALWAYS_READ.union(*reads)


def batch_size_of(hyperparameters: Mapping[str, Any]) -> int:
    """Return the rows of a mini-batch. Raises TrialError for what is no whole number above 0."""
    asked = hyperparameters["batch_size"]
    whole = isinstance(asked, int) or (isinstance(asked, float) and asked.is_integer())
    if isinstance(asked, bool) or not whole or asked < 1:
        raise TrialError(explain("batch_size", "expected a whole number above 0", asked))
    return int(asked)


def batch_norm_momentum(steps_per_epoch: int) -> float:
    """Return a momentum whose moving averages forget their start within an epoch.

    ``1 - 10 / steps`` between 0.5 and Keras's 0.99: after one epoch at most e^-10 of the initial 0/1 is left, or
    0.5^steps where there are few steps.
    """
    return min(0.99, max(0.5, 1 - 10 / max(1, steps_per_epoch)))


class RecordedHyperparameters(Mapping[str, Any]):
    """A read-only mapping that remembers which names were read: they are what a model's structure depends on.

    It holds what the trial was given and nothing else: ``get(name, mine)`` gives ``mine`` for any other name. A value
    that is only ``offered`` is for who asks for it by ``[name]``, without a value of one's own.
    """

    def __init__(self, values: Mapping[str, Any], offered: Mapping[str, Any] | None = None) -> None:
        self._values = dict(values)
        self._offered = dict(offered or {})
        self._reads: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name in self._offered and name not in self._values:
            self._reads[name] = self._offered[name]
            return self._offered[name]
        self._reads[name] = self._values.get(name)
        return self._values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Return the trial's value, or ``default`` where it was given none."""
        self._reads.setdefault(name, self._values.get(name))
        return self._values.get(name, default)

    def __contains__(self, name: object) -> bool:
        self._reads.setdefault(str(name), self._values.get(str(name)))
        return name in self._values

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"hp has no {name}: it is a mapping of a trial's values, read as hp['units'] or hp.get('units', 64)"
        )

    def __iter__(self) -> Iterator[str]:
        for name in self._values:
            self._reads[name] = self._values[name]
            yield name

    def __len__(self) -> int:
        return len(self._values)

    def reads(self) -> dict[str, Any]:
        """Return every name asked for so far and its value (None for one that was not there)."""
        return dict(self._reads)

    def gives(self, reads: Mapping[str, Any]) -> bool:
        """Return whether whoever read these values would read the same here."""
        there = {
            name: self._offered.get(name) for name, value in reads.items() if value is not None
        }
        there |= self._values
        return all(repr(there.get(name)) == repr(value) for name, value in reads.items())


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
        return frozenset(always | RATE_NAMES if has_rate else always)
    return read_by_training([optimizer]) | (LIVE - of_optimizers)


def shaping(given: Mapping[str, Any], reads: Collection[str]) -> frozenset[str]:
    """Return what of a trial's hyperparameters its program may depend on: what its builder reads, or is never live."""
    live = (name for name in given if name.removeprefix(COMPANION) in LIVE and name not in reads)
    return frozenset(given).difference(live)


def check_read(changes: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise RequestError for a hyperparameter that nothing reads; a 1-β goes with its β."""
    for name in changes:
        if name not in known and name.removeprefix(COMPANION) not in known:
            expected = "expected a hyperparameter that the model or training reads"
            raise RequestError(explain(f"set {name}", expected, name, known))


WHOLE = {"units": 1, "filters": 1, "hidden_layers": 0}
"""The least that each may be. A model takes whole numbers: it would build 16 units where the table says 16.7."""

ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid",
    "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax",
    "squareplus", "swish", "tanh", "tanh_shrink",
)  # fmt: skip
"""Keras's own by name, but for ``threshold``, which takes more than its input."""


def impossible_in_bundled(name: str, value: Any) -> Impossible | None:
    """Return why no bundled model can be built with a hyperparameter's value; None where one can."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if name in WHOLE and not (number and value >= WHOLE[name] and value == int(value)):
        return Impossible(f"expected a whole number of at least {WHOLE[name]}")
    if name == "dropout" and not (number and 0 <= value <= 1):
        return Impossible("expected a share, from 0 to 1")
    if name == "batch_norm" and value not in (True, False):
        return Impossible("expected true or false")
    if name == "activation" and value is not None and value not in ACTIVATIONS:
        return Impossible("expected one of Keras's activations", ACTIVATIONS)
    return None
