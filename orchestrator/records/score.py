"""The one rule for what is better: of epochs, of trials, of runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from numbers import Real
from typing import Any, Literal, Self

Mode = Literal["max", "min"]


@dataclass(frozen=True)
class Score:
    """How good a model is after an epoch.

    The metric's ``value`` decides, which is finite. Of equal ones the lower validation loss is better, then fewer
    parameters, then the earlier epoch; a validation loss or a number of parameters that is not known comes last.
    """

    value: float
    epoch: int
    mode: Mode
    val_loss: float | None = None
    parameters: int | None = None

    @property
    def ties(self) -> tuple[float, float]:
        """What decides between equal values after the same epoch: less is better."""
        return (
            math.inf if self.val_loss is None else self.val_loss,
            math.inf if self.parameters is None else self.parameters,
        )

    @property
    def rank(self) -> tuple[float, ...]:
        """A key that sorts the best first."""
        return (-self.value if self.mode == "max" else self.value, *self.ties, self.epoch)

    def beats(self, other: Score | None) -> bool:
        """Return whether this is better than ``other``; than nothing it always is."""
        return other is None or self.rank < other.rank

    def to_plain(self) -> dict[str, Any]:
        """Return plain values, for a checkpoint."""
        return asdict(self)

    @classmethod
    def from_plain(cls, values: Mapping[str, Any] | None) -> Self | None:
        """Return what ``to_plain`` gave; None for None."""
        return None if values is None else cls(**values)


def score_of(row: Mapping[str, Any], metric: str, mode: Mode) -> Score | None:
    """Return the score of a row of ``epochs.jsonl``; None where ``metric`` is missing or not finite."""
    value = _finite(row["metrics"].get(metric))
    if value is None:
        return None
    return Score(
        value,
        int(row["epoch"]),
        mode,
        _finite(row["metrics"].get("val_loss")),
        row.get("parameters"),
    )


def best_score(epochs: Iterable[Mapping[str, Any]], metric: str, mode: Mode) -> Score | None:
    """Return the best score among rows of ``epochs.jsonl``; None where none has one."""
    scores = [score_of(row, metric, mode) for row in epochs]
    return min((score for score in scores if score), key=lambda score: score.rank, default=None)


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, Real) and math.isfinite(value) else None
