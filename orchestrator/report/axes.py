"""The scales on which a run's hyperparameters varied: of trials, of what is drawn of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from orchestrator.domains import Choice, Fixed, LogNormal, OneMinusLogUniform, Space
from orchestrator.domains.numeric import LogInteger, LogUniform, one_minus
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.report.curve import finite
from orchestrator.report.formatting import COMPLEMENT, cell, shown_name

Scale = Literal["linear", "log", "one_minus", "choice"]


@dataclass(frozen=True)
class Axis:
    """A hyperparameter that varied, on the scale that it was drawn on; of β it is 1-β.

    ``low`` and ``high`` are the ends of its range, wider where a trial lies beyond them; ``values`` those of a choice,
    as texts.
    """

    name: str
    key: str
    scale: Scale
    low: float = 0.0
    high: float = 1.0
    values: tuple[str, ...] = ()
    is_whole: bool = False

    @property
    def shown(self) -> str:
        """Its name in tables: ``1-momentum``."""
        return shown_name(self.key)

    def place(self, hyperparameters: Mapping[str, Any]) -> float | str | None:
        """Return where a trial lies on it; None where the trial has no such hyperparameter, or no number."""
        value = hyperparameters.get(self.key)
        if value is None and self.key not in hyperparameters and self.scale == "one_minus":
            beta = hyperparameters.get(self.name)
            value = one_minus(beta) if isinstance(beta, float) else None
        if self.scale == "choice":
            return None if value is None else cell(value)
        finite = isinstance(value, Real) and math.isfinite(value)
        return None if value is None or not finite else float(value)


def axes_of(records: RunRecords) -> tuple[Axis, ...]:
    """Return what varied, in the space's order; by the trials' values alone where no space was recorded."""
    space = records.space or Space({})
    used = dict.fromkeys(name for t in records.trials for name in t.hyperparameters)
    plain = [
        n for n in used if not (n.startswith(COMPLEMENT) and n.removeprefix(COMPLEMENT) in used)
    ]
    names = dict.fromkeys([*space.names, *plain])
    found = (_axis(name, space.domains.get(name), records.trials) for name in names)
    return tuple(axis for axis in found if axis is not None)


def _axis(name: str, domain: Any, trials: Sequence[TrialRecord]) -> Axis | None:
    scale, ends = _scale(domain)
    one = scale == "one_minus"
    axis = Axis(name, COMPLEMENT + name if one else name, scale)
    places = [axis.place(trial.hyperparameters) for trial in trials]
    had = [place for place in places if place is not None]
    if isinstance(domain, Fixed) or (domain is None and len(set(had)) < 2) or not had:
        return None
    written = [trial.hyperparameters.get(name) for trial in trials]
    if scale == "choice" or not all(
        finite(value) is not None for value in written if value is not None
    ):
        declared = domain.values if isinstance(domain, Choice) else ()
        values = {cell(value): value for value in (*declared, *written) if value is not None}
        ordered = sorted(
            values, key=lambda text: (finite(values[text]) is None, finite(values[text]) or 0)
        )
        return Axis(name, name, "choice", values=tuple(ordered))
    numbers = [float(place) for place in had] + list(ends)
    whole = all(isinstance(value, int) for value in written if value is not None)
    return Axis(name, axis.key, scale, min(numbers), max(numbers), is_whole=whole)


def _scale(domain: Any) -> tuple[Scale, tuple[float, ...]]:
    match domain:
        case OneMinusLogUniform():
            return "one_minus", (one_minus(domain.max), one_minus(domain.min))
        case LogUniform() | LogInteger() | LogNormal():
            return "log", domain.ends
        case Choice():
            return "choice", ()
        case _:
            return "linear", getattr(domain, "ends", ())
