"""How far a run has come, kept small: what every view of a running run is drawn from."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.records import Mode, Score, TrialEnd, score_of
from orchestrator.report.cells import brief, clock, number
from orchestrator.report.time_left import InTraining, Seen, seconds_left


@dataclass
class RunningTrial:
    """A trial in training: its hyperparameters and the metric of its epochs so far."""

    hyperparameters: Mapping[str, Any]
    curve: list[float] = field(default_factory=list)
    epoch: int = 0
    since: float = 0.0  # when the first epoch told of it began


@dataclass(frozen=True)
class Best:
    """The best value so far, and where it was reached."""

    trial: str
    score: Score
    hyperparameters: Mapping[str, Any]

    @property
    def epoch(self) -> int:
        """The epoch it was reached in."""
        return self.score.epoch

    @property
    def value(self) -> float:
        """The metric then."""
        return self.score.value


@dataclass
class Progress:
    """Counts, curves and the best of a run; memory is for the trials that are running alone."""

    total_trials: int
    epochs_each: int
    metric: str
    mode: Mode
    now: Callable[[], float] = time.monotonic
    counts: Counter[str] = field(default_factory=Counter)
    running: dict[str, RunningTrial] = field(default_factory=dict)
    best: Best | None = None
    epochs_done: int = 0
    untrained: int = 0  # ended without having been started: decided while nobody drove the run
    began: float = field(init=False)
    lengths: Counter[int] = field(
        default_factory=Counter
    )  # of trials that are over, but for failed ones
    at_once: int = 0
    first_start: float | None = None
    first_end: tuple[float, int] | None = None  # of a trial, and the epochs by then

    def __post_init__(self) -> None:
        self.began = self.now()

    @property
    def ended(self) -> int:
        """Return the number of trials that are over, however they ended."""
        return self.counts.total()

    @property
    def seconds(self) -> float:
        """Return the seconds since the view opened."""
        return self.now() - self.began

    def trial_started(self, trial: str, hyperparameters: Mapping[str, Any]) -> None:
        """Take up a trial."""
        if self.first_start is None:
            self.first_start = self.now()
        self.running[trial] = RunningTrial(hyperparameters)

    def epoch(self, row: Mapping[str, Any]) -> bool:
        """Take up a finished epoch; return whether it is the best so far."""
        self.epochs_done += 1
        trial = self.running.setdefault(row["trial"], RunningTrial({}))
        if not trial.curve:
            trial.since = self.now() - float(row.get("seconds") or 0.0)
            training = sum(bool(other.curve) for other in self.running.values()) + 1
            self.at_once = max(self.at_once, training)
        value = row["metrics"].get(self.metric)
        trial.curve.append(math.nan if value is None else float(value))
        trial.epoch = row["epoch"]
        score = score_of(row, self.metric, self.mode)
        if score is None or not score.beats(self.best.score if self.best else None):
            return False
        self.best = Best(row["trial"], score, trial.hyperparameters)
        return True

    def trial_ended(self, end: TrialEnd) -> None:
        """Count a trial as over."""
        trial = self.running.pop(end.trial, None)
        if trial is None:
            self.untrained += 1
        elif end.status != "failed":  # how far that came says nothing of the others
            self.lengths[trial.epoch] += 1
            self.first_end = self.first_end or (self.now(), self.epochs_done)
        self.counts[end.status] += 1

    def share(self) -> float:
        """Return the share of the work done, 0 to 1, a running trial counting by its epochs.

        Trials that are stopped early make the others of their kind shorter too: a running trial is
        measured against the mean length of those that are over, once there are some.
        """
        total, ended = self.total_trials - self.untrained, self.ended - self.untrained
        if total <= 0:
            return 1.0
        mine = sum(len(trial.curve) for trial in self.running.values())
        length = float(self.epochs_each)
        if ended:
            length = max((self.epochs_done - mine) / ended, 1.0)
        partly = sum(min(len(trial.curve) / length, 0.95) for trial in self.running.values())
        return min((ended + partly) / total, 1.0)

    def time_left(self) -> str:
        """Return the time left in words, or nothing while there is too little to judge by."""
        waiting = self.total_trials - self.ended - len(self.running)
        if not self.epochs_done or not (self.running or waiting > 0):
            return ""
        now = self.now()
        seen = Seen(
            self.epochs_each,
            self.lengths,
            [InTraining(trial.epoch, _pace(trial, now)) for trial in self.running.values()],
            max(waiting, 0),
            pace=self._pace(now),
            at_once=self.at_once,
        )
        left = seconds_left(seen)
        return "" if left is None else f"about {clock(left)} left"

    def _pace(self, now: float) -> float:
        """Return the seconds between two epochs of the run, after the first trial's end: before, workers started."""
        since, before = self.first_end or (now, self.epochs_done)
        if self.ended > 2 and self.epochs_done > before:
            return (now - since) / (self.epochs_done - before)
        start = now if self.first_start is None else self.first_start
        return (now - start) / max(self.epochs_done, 1)

    def counted(self) -> str:
        """Return the counts by status: ``20 stopped, 8 finished, 2 running``."""
        counts = [f"{count} {status}" for status, count in self.counts.most_common()]
        if self.running:
            counts.append(f"{len(self.running)} running")
        return ", ".join(counts) or "no trial started"

    def best_line(self) -> str:
        """Return the best so far with its hyperparameters, in one line."""
        if self.best is None:
            return f"no finite {self.metric} yet"
        found = self.best
        text = f"best {self.metric} {number(found.value)}, trial {found.trial} epoch {found.epoch}"
        chosen = brief(found.hyperparameters)
        return f"{text}: {chosen}" if chosen else text


def _pace(trial: RunningTrial, now: float) -> float | None:
    return (now - trial.since) / len(trial.curve) if trial.curve else None
