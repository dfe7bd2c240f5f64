"""The hyperparameters that training itself reads, their defaults, and which optimizer reads which."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchestrator.errors import TrialError, explain

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

OF_THE_RATE = frozenset({"learning_rate", "learning_rate_decay", "decay_schedule"})
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
"""What changes on a live model without building it anew, unless its own builder reads it."""

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


def structure_key(parts: Mapping[str, Any]) -> str:
    """Return a text that is equal for equal structures."""
    return json.dumps(parts, sort_keys=True, default=repr)
