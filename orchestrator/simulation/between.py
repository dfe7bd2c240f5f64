"""From a proposal to a recorded curve: the nearest configuration of a table, or a curve between several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Protocol

import numpy as np

from orchestrator.domains import Choice, Fixed, Space
from orchestrator.domains.values import same
from orchestrator.records import trial_name
from orchestrator.search import Plan, TrialSpec
from orchestrator.search.plan import trial_seed
from orchestrator.simulation.table import Curve, CurveTable

Between = Literal["rows", "interpolate"]
NEIGHBOURS = 5
_OF_ROWS = 1
"""What tells the stream that draws rows from a trial's others."""


class Curves(Protocol):
    """What a simulated trial trains by."""

    repeated: int
    """How many trials got a curve that another one had got before."""

    def by_chance(self, index: int, seed: int, space: Space) -> TrialSpec | None:
        """Return trial ``index`` of a seed where all of it is left to chance; None where it is to be drawn."""

    def spec(self, proposed: TrialSpec) -> TrialSpec:
        """Return a proposed trial as the search is told of it."""

    def of(self, spec: TrialSpec) -> Curve:
        """Return the curve of a trial."""


@dataclass(frozen=True, kw_only=True)
class PlanOverCurves(Plan):
    """A plan whose trials are those of recorded curves: the one place where a proposal meets the table."""

    curves: Curves

    def spec(self, index: int, asked: Mapping[str, Any], space: Space | None = None) -> TrialSpec:
        """Return the trial as the curves have it."""
        if not asked and index >= len(self.points):
            drawn = self.curves.by_chance(index, self.seed, space or self.space)
            if drawn is not None:
                return drawn
        return self.curves.spec(super().spec(index, asked, space))


def over_curves(plan: Plan, curves: Curves) -> Plan:
    """Return a plan whose trials are those of recorded curves: there is one of each, and nobody races."""
    of_plan = {each.name: getattr(plan, each.name) for each in fields(Plan)}
    return PlanOverCurves(**of_plan | {"finalists": None}, curves=curves)


class Scale:
    """Configurations as points: each number on its domain's own scale from 0 to 1, each word apart from all others.

    Two different words are as far apart as two random numbers are on average (a third), all pairs of words taken
    together, equal ones included. A hyperparameter that one has and the other has not differs as words do.
    """

    def __init__(self, space: Space) -> None:
        self._domains = {
            name: domain for name, domain in space.domains.items() if not isinstance(domain, Fixed)
        }

    def point(self, hyperparameters: Mapping[str, Any]) -> np.ndarray:
        """Return a configuration's place; NaN for what it has not."""
        return np.array(
            [
                self._place(domain, hyperparameters[name]) if name in hyperparameters else np.nan
                for name, domain in self._domains.items()
            ],
            dtype=float,
        )

    def distances(self, point: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return how far ``point`` is from each of ``others``."""
        with np.errstate(invalid="ignore"):
            apart = np.abs(others - point)
        for column, domain in enumerate(self._domains.values()):
            if _is_worded(domain):
                apart[:, column] = np.where(apart[:, column] > 0, _apart(domain), 0.0)
        # Both absent: no difference. One absent: between that of equal and of opposite values.
        one_alone = np.isnan(others) != np.isnan(point)
        apart = np.where(one_alone, 0.5, np.where(np.isnan(apart), 0.0, apart))
        return np.asarray(np.sqrt((apart**2).sum(axis=1)))

    @staticmethod
    def _place(domain: Any, value: Any) -> float:
        if _is_worded(domain):
            places = (number for number, known in enumerate(domain.values) if same(known, value))
            return float(next(places, -1))
        return float(domain.to_unit(value))


def _is_worded(domain: Any) -> bool:
    """Return whether a domain's values have no order: words or flags."""
    return isinstance(domain, Choice) and any(
        isinstance(value, bool) or not isinstance(value, int | float) for value in domain.values
    )


def _apart(domain: Any) -> float:
    count = len(domain.values)
    return count / (3 * (count - 1)) if count > 1 else 0.0


class Rows:
    """Each trial becomes the nearest configuration of the table that no trial has had yet, and the search is told so.

    What a searcher leaves to chance altogether is any of them that lies in the space it is drawn from, each equally
    likely: the nearest one would favour configurations that stand apart. A trial that is its ``own`` row's, having
    the same hyperparameters, stays so. Once all are used they begin anew.
    """

    def __init__(
        self, table: CurveTable, space: Space, own: Mapping[str, int] | None = None
    ) -> None:
        self._table = table
        self._own = own or {}
        self._scale = Scale(space)
        self._points = np.stack([self._scale.point(each.hyperparameters) for each in table.curves])
        self._free = np.ones(len(table), dtype=bool)
        self._rows: dict[str, int] = {}
        self._last: tuple[Space, np.ndarray] = space, np.ones(len(table), dtype=bool)
        self.repeated = 0

    def by_chance(self, index: int, seed: int, space: Space) -> TrialSpec | None:
        """Return trial ``index`` with any row in ``space``; None where none is left there, or it has its own."""
        trial = trial_name(index)
        if trial in self._own:
            return None
        own_seed = trial_seed(seed, index)
        if trial not in self._rows:
            row = self._any(space, np.random.default_rng([own_seed, _OF_ROWS]))
            if row is None:
                return None
            self._take(trial, row)
        values = self._table.curves[self._rows[trial]].hyperparameters
        return TrialSpec(trial, index, own_seed, dict(values))

    def spec(self, proposed: TrialSpec) -> TrialSpec:
        """Return a trial with the hyperparameters of its row."""
        if proposed.trial not in self._rows:
            self._take(proposed.trial, self._row(proposed))
        return replace(proposed, hyperparameters=dict(self.of(proposed).hyperparameters))

    def of(self, spec: TrialSpec) -> Curve:
        """Return the curve of a trial's row."""
        return self._table.curves[self._rows[spec.trial]]

    def _row(self, proposed: TrialSpec) -> int:
        own = self._own.get(proposed.trial)
        if own is not None and self._is_own(proposed, own):
            return own
        apart = self._scale.distances(self._scale.point(proposed.hyperparameters), self._points)
        return int(np.argmin(np.where(self._free, apart, np.inf)))

    def _take(self, trial: str, row: int) -> None:
        self.repeated += len(self._rows) >= len(self._table)
        self._rows[trial] = row
        self._free[row] = False
        if not self._free.any():  # used up: all of them are there for the next trial
            self._free[:] = True

    def _is_own(self, proposed: TrialSpec, row: int) -> bool:
        known = self._table.curves[row].hyperparameters
        return bool(self._free[row]) and dict(known) == dict(proposed.hyperparameters)

    def _any(self, space: Space, generator: np.random.Generator) -> int | None:
        """Return a free row in ``space`` at random; None where there is none."""
        if self._last[0] is not space:
            inside = [self._is_in(space, row) for row in range(len(self._table))]
            self._last = space, np.array(inside)
        free = np.flatnonzero(self._free & self._last[1])
        return int(free[generator.integers(len(free))]) if len(free) else None

    def _is_in(self, space: Space, row: int) -> bool:
        values = self._table.curves[row].hyperparameters
        within = all(
            domain.contains(values[name])
            for name, domain in space.domains.items()
            if name in values
        )
        return within and space.broken(space.with_companions(values)) is None


@dataclass
class Interpolated:
    """Each trial keeps what was proposed, and its curve lies between those of the nearest configurations.

    They count by the inverse square of their distance. Where the nearest one diverges, so does the trial.
    """

    table: CurveTable
    space: Space
    repeated: int = 0
    _known: dict[str, Curve] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._scale = Scale(self.space)
        self._points = np.stack(
            [self._scale.point(each.hyperparameters) for each in self.table.curves]
        )
        self._diverges = np.array([each.ending is not None for each in self.table.curves])

    def by_chance(self, index: int, seed: int, space: Space) -> TrialSpec | None:
        """Return None: what is left to chance is drawn."""
        return None

    def spec(self, proposed: TrialSpec) -> TrialSpec:
        """Return a trial as it was proposed."""
        return proposed

    def of(self, spec: TrialSpec) -> Curve:
        """Return the curve of a trial."""
        if spec.trial not in self._known:
            self._known[spec.trial] = self._between(spec)
        return self._known[spec.trial]

    def _between(self, spec: TrialSpec) -> Curve:
        apart = self._scale.distances(self._scale.point(spec.hyperparameters), self._points)
        nearest = int(np.argmin(apart))
        if self._diverges[nearest]:
            return self.table.curves[nearest]
        near = [row for row in np.argsort(apart, kind="stable") if not self._diverges[row]]
        near = near[:NEIGHBOURS]
        weights = 1 / (
            apart[near] ** 2 + 1e-6
        )  # a row itself counts a thousand times its neighbours
        weights /= weights.sum()
        curves = [self.table.curves[row] for row in near]
        epochs = min(curve.epochs for curve in curves)
        metrics = {
            name: sum(w * c.metrics[name][:epochs] for w, c in zip(weights, curves, strict=True))
            for name in curves[0].metrics
        }
        seconds = sum(w * c.seconds[:epochs] for w, c in zip(weights, curves, strict=True))
        return Curve(spec.trial, spec.hyperparameters, metrics, np.asarray(seconds))


def curves_between(between: Between, table: CurveTable, space: Space) -> Curves:
    """Return what a simulation's trials train by."""
    return Rows(table, space) if between == "rows" else Interpolated(table, space)
