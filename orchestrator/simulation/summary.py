"""What many simulated runs say together: medians over seeds, with intervals by the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.records import Mode
from orchestrator.simulation.simulator import Costs, Simulated
from orchestrator.simulation.table import CurveTable

SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Of a run's length: where the best value is looked at."""
TARGETS = (0.95, 0.99)
"""Percentiles of the table's configurations that a search is timed to."""
RESAMPLES = 1_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A median over seeds and the interval that it lies in with a confidence of 95 %; infinite: never."""

    median: float
    low: float
    high: float

    def to_plain(self) -> dict[str, float | None]:
        """Return it for JSON, which knows no infinity."""
        return {name: _plain(getattr(self, name)) for name in ("median", "low", "high")}


def estimate(values: Sequence[float]) -> Estimate:
    """Return the median of ``values``, of which some may be infinite, and its bootstrap interval.

    >>> estimate([1.0, 1.0, 1.0])
    Estimate(median=1.0, low=1.0, high=1.0)
    """
    known = np.sort(np.array([value for value in values if not math.isnan(value)], dtype=float))
    if not len(known):
        return Estimate(math.nan, math.nan, math.nan)
    generator = np.random.default_rng(0)
    drawn = np.sort(known[generator.integers(len(known), size=(RESAMPLES, len(known)))], axis=1)
    medians = np.sort(_middle(drawn))
    tail = int((1 - CONFIDENCE) / 2 * RESAMPLES)
    middle = float(_middle(known[None, :])[0])
    return Estimate(middle, float(medians[tail]), float(medians[-1 - tail]))


def _middle(ascending: np.ndarray) -> np.ndarray:
    """Return each row's median: the upper of the two middle ones, so that no infinity is averaged away."""
    return np.asarray(ascending[:, ascending.shape[1] // 2])


@dataclass(frozen=True)
class Target:
    """How soon runs came to a value that only the best ``1 - share`` of a table's configurations have."""

    share: float
    value: float
    reached: int
    runs: int
    seconds: Estimate
    epochs: Estimate

    def to_plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        plain = {"percentile": 100 * self.share, "value": self.value}
        plain |= {"reached": self.reached, "runs": self.runs}
        return plain | {"seconds": self.seconds.to_plain(), "epochs": self.epochs.to_plain()}


@dataclass(frozen=True)
class BestBy:
    """The best value at a share of the runs' length."""

    share: float
    seconds: float
    best: Estimate

    def to_plain(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {"share": self.share, "seconds": self.seconds, "best": self.best.to_plain()}


@dataclass(frozen=True)
class Summary:
    """Simulated runs of one experiment on one table, a seed each."""

    table: CurveTable
    costs: Costs
    runs: tuple[Simulated, ...]
    epochs_of_a_trial: int

    @property
    def metric(self) -> str:
        """The metric that trials are judged by."""
        return self.runs[0].metric

    @property
    def mode(self) -> Mode:
        """Whether more or less of it is better."""
        return self.runs[0].mode

    @property
    def seconds(self) -> Estimate:
        """How long a run takes."""
        return estimate([run.seconds for run in self.runs])

    @property
    def epochs(self) -> Estimate:
        """How many epochs a run trains."""
        return estimate([float(run.epochs) for run in self.runs])

    def mean(self, count: Callable[[Simulated], float]) -> float:
        """Return the mean over the runs of what ``count`` finds in one."""
        return float(np.mean([count(run) for run in self.runs]))

    @property
    def endings(self) -> dict[str, float]:
        """How many trials of a run end how, on average."""
        names = sorted({name for run in self.runs for name in run.endings})
        return {name: float(np.mean([run.endings[name] for run in self.runs])) for name in names}

    def targets(self, shares: Sequence[float] = TARGETS) -> list[Target]:
        """Return how soon the runs came to these percentiles of the table."""
        return [self._target(share) for share in shares]

    def _target(self, share: float) -> Target:
        value = self.table.target(share, self.metric, self.mode, self.epochs_of_a_trial)
        after = [run.first(value) for run in self.runs]
        seconds = [run.time_to(value) for run in self.runs]
        return Target(
            share,
            value,
            sum(epochs is not None for epochs in after),
            len(self.runs),
            estimate([math.inf if each is None else each for each in seconds]),
            estimate([math.inf if each is None else float(each) for each in after]),
        )

    def bests(self, shares: Sequence[float] = SHARES) -> list[BestBy]:
        """Return the best value by shares of the median length of a run."""
        whole = self.seconds.median
        return [
            BestBy(
                share,
                share * whole,
                estimate(
                    [run.best_at(whole * share if share < 1 else math.inf) for run in self.runs]
                ),
            )
            for share in shares
        ]

    def to_plain(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        costs = self.costs
        return {
            "table": self.table.name,
            "configurations": len(self.table),
            "metric": self.metric,
            "mode": self.mode,
            "seeds": len(self.runs),
            "workers": costs.workers,
            "start_cost": costs.start,
            "resume_cost": costs.resume,
            "seconds": self.seconds.to_plain(),
            "epochs": self.epochs.to_plain(),
            "endings": self.endings,
            "best": [each.to_plain() for each in self.bests()],
            "targets": [each.to_plain() for each in self.targets()],
            "repeated": self.mean(lambda run: float(run.repeated)),
            "rounds": self.mean(lambda run: float(run.rounds)),
        }


def _plain(value: float) -> float | None:
    return value if math.isfinite(value) else None
