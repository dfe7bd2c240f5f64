"""A virtual clock over recorded curves: workers start, train, pause and stop trials as a search decides."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from orchestrator.records import Mode, TrialEnd
from orchestrator.records.score import score_of
from orchestrator.schedulers import Decision
from orchestrator.search import Plan, Search, TrialSpec
from orchestrator.search.steps import NextRound, Resume, Start, Step
from orchestrator.simulation.between import Between, Curves, curves_between, over_curves
from orchestrator.simulation.table import Curve, CurveTable


@dataclass(frozen=True)
class Costs:
    """What a trial costs beside its epochs, in seconds, and how many are trained at once."""

    workers: int = 1
    start: float = 0.0
    resume: float = 0.0


@dataclass(frozen=True)
class SimulatedTrial:
    """What became of a trial: how it ended, by which epoch, and what it cost.

    ``unknown`` says that it was to go on where its recorded curve ends.
    """

    trial: str
    config: str
    hyperparameters: dict[str, Any]
    status: str
    epochs: int
    best: float | None
    seconds: float
    resumes: int = 0
    unknown: bool = False


@dataclass(frozen=True)
class Simulated:
    """A simulated run: every epoch in the order of its end, at which second it was, and the best value by then."""

    metric: str
    mode: Mode
    trials: tuple[SimulatedTrial, ...]
    at: np.ndarray
    best: np.ndarray
    repeated: int = 0
    rounds: int = 1

    @property
    def epochs(self) -> int:
        """How many epochs were trained."""
        return len(self.at)

    @property
    def seconds(self) -> float:
        """When the last epoch ended."""
        return float(self.at[-1]) if len(self.at) else 0.0

    @property
    def endings(self) -> Counter[str]:
        """How many trials ended how."""
        return Counter(trial.status for trial in self.trials)

    def first(self, target: float) -> int | None:
        """Return after how many epochs, of all trials together, the best was as good as ``target``; None: never."""
        with np.errstate(invalid="ignore"):
            there = self.best >= target if self.mode == "max" else self.best <= target
        return int(np.argmax(there)) + 1 if there.any() else None

    def time_to(self, target: float) -> float | None:
        """Return the second at which the best was as good as ``target``; None where it never was."""
        epochs = self.first(target)
        return None if epochs is None else float(self.at[epochs - 1])

    def best_at(self, seconds: float) -> float:
        """Return the best value by a second; NaN before the first."""
        known = int(np.searchsorted(self.at, seconds, side="right"))
        return float(self.best[known - 1]) if known else math.nan


@dataclass
class _Training:
    """A trial with a worker, or one that is paused."""

    spec: TrialSpec
    curve: Curve
    epoch: int = 0
    stint: float | None = None
    seconds: float = 0.0
    best: float | None = None
    resumes: int = 0


@dataclass
class _Clock:
    """Which trial's next epoch ends when; those of one moment in the order in which they began it."""

    costs: Costs
    now: float = 0.0
    _ends: list[tuple[float, int, str]] = field(default_factory=list)
    _count: int = 0

    def is_free(self) -> bool:
        return len(self._ends) < self.costs.workers

    def begin(self, trial: str, seconds: float) -> None:
        self._count += 1
        heapq.heappush(self._ends, (self.now + seconds, self._count, trial))

    def next(self) -> str | None:
        """Go to the end of the next epoch and return whose it is; None where nobody trains."""
        if not self._ends:
            return None
        self.now, _, trial = heapq.heappop(self._ends)
        return trial


class Decides(Protocol):
    """What the clock asks: a ``Search``, or another tuner in its place."""

    @property
    def paused(self) -> Mapping[str, Any]:
        """Return the trials that wait to be promoted."""

    def next(self) -> Step:
        """Return what to do now that there is a free worker."""

    def tell(self, event: Mapping[str, Any] | TrialEnd) -> Decision | None:
        """Take in an epoch and return whether its trial goes on, or a trial's end."""


class Simulator:
    """Runs one search over curves: the plan's own, or one that is given."""

    def __init__(
        self, plan: Plan, curves: Curves, costs: Costs, search: Decides | None = None
    ) -> None:
        self._plan = plan
        self._costs = costs
        self._curves = curves
        self._search: Decides = search or Search(over_curves(plan, curves))
        at_once = plan.max_concurrent_trials
        workers = costs.workers if at_once is None else min(costs.workers, at_once)
        self._clock = _Clock(Costs(workers, costs.start, costs.resume))
        self._trials: dict[str, _Training] = {}
        self._ended: list[SimulatedTrial] = []
        self._at: list[float] = []
        self._best: list[float] = []
        self._rounds = 1

    def run(self, until: float = math.inf, most: float = math.inf) -> Simulated:
        """Return what happened by the second ``until``, in at most ``most`` epochs."""
        while True:
            self._fill()
            trial = self._clock.next()
            if trial is None:
                if not self._end_what_stays_paused():
                    break
                continue
            if self._clock.now > until or len(self._at) >= most:
                break
            self._epoch(self._trials[trial])
        self._cut_off()
        plan, curves = self._plan, self._curves
        at, best = np.array(self._at), np.array(self._best)
        ended = tuple(sorted(self._ended, key=lambda each: each.trial))
        return Simulated(plan.metric, plan.mode, ended, at, best, curves.repeated, self._rounds)

    def _fill(self) -> None:
        while self._clock.is_free():
            step = self._search.next()
            if isinstance(step, NextRound):
                self._rounds += 1
            elif isinstance(step, Start):
                training = _Training(step.spec, self._curves.of(step.spec))
                self._trials[step.spec.trial] = training
                self._begin(training, self._costs.start)
            elif isinstance(step, Resume):
                training = self._trials[step.spec.trial]
                training.resumes += 1
                self._begin(training, self._costs.resume)
            else:
                return

    def _begin(self, training: _Training, cost: float) -> None:
        training.stint = cost
        if training.epoch >= training.curve.epochs:  # promoted beyond what was recorded
            ending = training.curve.ending
            self._end(training, ending or "interrupted", unknown=ending is None)
            return
        self._clock.begin(training.spec.trial, cost + float(training.curve.seconds[training.epoch]))

    def _epoch(self, training: _Training) -> None:
        """Take in that a trial's next epoch is over."""
        training.epoch += 1
        row = training.curve.row(training.spec.trial, training.epoch)
        training.seconds += row["seconds"] + (training.stint or 0.0)
        if training.stint is not None:
            row["start_seconds"] = training.stint
            training.stint = None
        self._note(training, row)
        decision = self._search.tell(row)
        # The order is a run's: what diverged or is complete has ended so, whatever the scheduler says of it.
        if training.epoch == training.curve.epochs and training.curve.ending is not None:
            self._end(training, training.curve.ending)
        elif training.epoch >= self._plan.epochs:
            self._end(training, "finished")
        elif decision is not None and decision.stop:
            self._end(training, "stopped")
        elif training.spec.trial in self._search.paused:
            pass  # its worker is free; the clock hears of it again when it is promoted
        elif training.epoch >= training.curve.epochs:
            self._end(training, "interrupted", unknown=True)
        else:
            seconds = float(training.curve.seconds[training.epoch])
            self._clock.begin(training.spec.trial, seconds)

    def _note(self, training: _Training, row: dict[str, Any]) -> None:
        score = score_of(row, self._plan.metric, self._plan.mode)
        best = self._best[-1] if self._best else math.nan
        if score is not None:
            best = self._better(best, score.value)
            known = math.nan if training.best is None else training.best
            training.best = self._better(known, score.value)
        self._at.append(self._clock.now)
        self._best.append(best)

    def _better(self, known: float, value: float) -> float:
        if math.isnan(known):
            return value
        return max(known, value) if self._plan.mode == "max" else min(known, value)

    def _end(self, training: _Training, status: str, unknown: bool = False) -> None:
        self._ended.append(_ending(training, status, unknown))
        del self._trials[training.spec.trial]
        self._search.tell(TrialEnd(training.spec.trial, status, training.seconds))  # type: ignore[arg-type]

    def _end_what_stays_paused(self) -> bool:
        """End the trials that nothing is left to promote for; return whether there were any."""
        paused = list(self._search.paused)
        for trial in paused:
            self._end(self._trials[trial], "stopped")
        return bool(paused)

    def _cut_off(self) -> None:
        """Write down the trials that were in training when the time was up."""
        for training in self._trials.values():
            self._ended.append(_ending(training, "interrupted", unknown=False))


def _ending(training: _Training, status: str, unknown: bool) -> SimulatedTrial:
    return SimulatedTrial(
        training.spec.trial,
        training.curve.config,
        dict(training.spec.hyperparameters),
        status,
        training.epoch,
        training.best,
        training.seconds,
        training.resumes,
        unknown,
    )


def simulate_seeds(
    plan: Plan, table: CurveTable, costs: Costs, seeds: Iterable[int], between: Between = "rows"
) -> Iterator[Simulated]:
    """Yield one simulated run a seed."""
    for seed in seeds:
        curves = curves_between(between, table, plan.space)
        yield Simulator(replace(plan, seed=seed), curves, costs).run()
