"""How far a run has come: what every view of a running caviar is drawn from."""

from __future__ import annotations

import heapq
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.records import (
    EpochRow,
    Event,
    Mode,
    RunState,
    Score,
    TrialEnd,
    TrialStarted,
    TrialWaits,
)
from orchestrator.report.formatting import COMPLEMENT, brief, clock, number
from orchestrator.report.live.time_left import InTraining, Seen, seconds_left

BEST = 10
MOST_RUNGS = 8
RATE_SECONDS = 30.0


@dataclass(frozen=True)
class RunningTrial:
    """A trial in training: its hyperparameters, its last epoch and the metric of its epochs so far."""

    hyperparameters: Mapping[str, Any]
    curve: list[float]
    epoch: int


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
class Varying:
    """Which hyperparameters differ between the trials of a run, and what the others are in all."""

    _values: dict[str, Any] = field(default_factory=dict)
    _varies: set[str] = field(default_factory=set)

    def add(self, hyperparameters: Mapping[str, Any], is_first: bool) -> None:
        """Take in a trial's."""
        for name, value in hyperparameters.items():
            if name not in self._values and not is_first:
                self._varies.add(name)
            if self._values.setdefault(name, value) != value:
                self._varies.add(name)
        self._varies |= self._values.keys() - hyperparameters.keys()

    @property
    def names(self) -> list[str]:
        """The hyperparameters that differ between trials; all of them where nothing differs yet."""
        plain = [name for name in self._values if not name.startswith(COMPLEMENT)]
        return [name for name in plain if name in self._varies] or plain

    @property
    def same(self) -> dict[str, Any]:
        """The hyperparameters that are the same in all trials."""
        varying = {*self.names}
        plain = (name for name in self._values if not name.startswith(COMPLEMENT))
        return {name: self._values[name] for name in plain if name not in varying}


@dataclass
class Progress:
    """A run's state, and when this view heard of what; ``total_trials`` are those of the whole run."""

    total_trials: int
    epochs_each: int
    metric: str
    mode: Mode
    now: Callable[[], float] = time.monotonic
    state: RunState = field(init=False)
    began: float = field(init=False)
    lengths: Counter[int] = field(default_factory=Counter)  # of trials that ended and did not fail
    at_once: int = 0
    first_start: float | None = None
    first_end: tuple[float, int] | None = (
        None  # when one first left its place, and the epochs by then
    )
    # When the first epoch seen of a trial began, and how many epochs it had by then.
    _since: dict[str, tuple[float, int]] = field(default_factory=dict)
    _seen: int = 0  # epochs that this view has heard of
    _places_left: int = 0
    _untrained: int = 0  # trials that ended while nobody drove the run, without a start seen here
    _started: set[str] = field(default_factory=set)
    _again: set[str] = field(default_factory=set)  # interrupted before, and not begun again yet
    # The thin state lets go of the epochs of trials that are over: those of the best are kept here.
    curves: dict[str, list[float]] = field(default_factory=dict)
    top: list[str] = field(default_factory=list)
    failed: dict[str, list[TrialEnd]] = field(default_factory=dict)
    _reached: dict[str, int] = field(default_factory=dict)
    _rungs: set[int] = field(default_factory=set)
    varying: Varying = field(default_factory=Varying)
    _times: deque[float] = field(default_factory=lambda: deque(maxlen=2000))

    def __post_init__(self) -> None:
        self.state = RunState(self.metric, self.mode, thin=True)
        self.began = self.now()

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before this view was opened."""
        for event in events:
            self.state.apply(event)
            self._look_at(event)
        for trial in self.state.trials.values():
            if trial.repeats is not None:
                continue
            if trial.is_over and trial.ending != "failed":
                self.lengths[self.state.history(trial.trial).last_epoch] += 1
            elif trial.ending is not None and not trial.is_over:
                self._again.add(trial.trial)

    def apply(self, event: Event) -> None:
        """Take in what has just happened."""
        known = event.trial in self._started if isinstance(event, TrialEnd) else False
        epochs, trials = self.state.epochs, len(self.state.trials)
        self.state.apply(event)
        if self._is_replicate(event):
            self._since.pop(event.trial, None)  # type: ignore[union-attr]
        elif isinstance(event, TrialStarted):
            self.first_start = self.now() if self.first_start is None else self.first_start
            self._started.add(event.trial)
            # A copy of another trial is none of those that were planned.
            began = len(self.state.trials) - trials
            self.total_trials += began * self.state.trials[event.trial].is_branch
            self._again.discard(event.trial)
        elif isinstance(event, TrialEnd):
            self._trial_ended(event, known)
        elif isinstance(event, TrialWaits):
            self._left(event.trial)
        elif self.state.epochs > epochs:
            self._seen += 1
            self._times.append(self.now())
            self._trained(event)  # type: ignore[arg-type]
        self._look_at(event)

    def _look_at(self, event: Event) -> None:
        """Keep what the leaderboard, the rungs and the list of failures are made of."""
        if isinstance(event, TrialStarted):
            self.varying.add(event.hyperparameters, len(self.state.trials) <= 1)
        elif isinstance(event, TrialEnd):
            self._over(event)
        elif isinstance(event, TrialWaits):
            self._rungs |= {self._reached.get(event.trial, 0)} if event.waits else set()
        elif "event" in event:
            self._rank(self.state.trials)
        elif "epoch" in event and "kind" not in event:
            self._grew(event)  # type: ignore[arg-type]

    def _grew(self, row: EpochRow) -> None:
        trial, epoch = row["trial"], int(row["epoch"])
        if epoch <= self._reached.get(trial, 0):  # one that was retried begins anew
            self.curves.pop(trial, None)
        self.curves.setdefault(trial, []).append(_value(row["metrics"].get(self.metric)))
        self._reached[trial] = epoch
        self._rank({*self.top, trial})

    def _rank(self, among: Iterable[str]) -> None:
        """Find the best; among those before and one that trained, since others cannot have become better."""
        trials = self.state.trials
        drawn = (t for t in among if t in trials and trials[t].repeats is None)
        scored = (t for t in drawn if self.state.score_of(t) is not None)
        self.top = heapq.nsmallest(BEST, scored, key=self.state.rank)

    def _over(self, end: TrialEnd) -> None:
        if end.status == "stopped":
            epoch = (end.stopped_by or {}).get("epoch", self._reached.get(end.trial))
            self._rungs |= {epoch} if isinstance(epoch, int) else set()
        if end.status == "failed":
            self.failed.setdefault(end.error or "no error was given", []).append(end)
        for trial in self.curves.keys() - {*self.top, *self.state.open}:
            del self.curves[trial]

    @property
    def funnel(self) -> dict[int, int]:
        """How many trials reached each epoch at which some were stopped or paused; empty where there are too many."""
        rungs = sorted({*self._rungs, self.epochs_each} - {0}) if self._rungs else []
        if len(rungs) > MOST_RUNGS:
            return {}
        return {rung: sum(last >= rung for last in self._reached.values()) for rung in rungs}

    @property
    def epochs_a_second(self) -> float | None:
        """How many epochs all trials train a second, over the last half minute; None before there are two."""
        now = self.now()
        since = [time for time in self._times if now - time <= RATE_SECONDS]
        if len(since) < 2 or now - since[0] < 1.0:
            return None
        return len(since) / (now - since[0])

    def _is_replicate(self, event: Event) -> bool:
        """Return whether a replicate began or ended: the search's trials alone are counted."""
        if not isinstance(event, TrialStarted | TrialEnd):
            return False
        return self.state.trials[event.trial].repeats is not None

    def _trained(self, row: Mapping[str, Any]) -> None:
        if row["trial"] not in self._since:
            before = len(self.state.history(row["trial"]).rows) - 1
            self._since[row["trial"]] = self.now() - float(row.get("seconds") or 0.0), before
            self.at_once = max(self.at_once, len(self._since.keys() & self.in_training))

    def _left(self, trial: str) -> None:
        """Note that a trial left its place, for good or not: its pace is that of the time it is trained."""
        if self._since.pop(trial, None) is not None:
            self._places_left += 1
            self.first_end = self.first_end or (self.now(), self._seen)

    def _trial_ended(self, end: TrialEnd, known: bool) -> None:
        self._started.discard(end.trial)
        self._again.discard(end.trial)
        self._left(end.trial)
        if not known:
            self._untrained += 1
        elif end.status != "failed":  # how far that came says nothing of the others
            self.lengths[self.state.history(end.trial).last_epoch] += 1

    @property
    def counts(self) -> Counter[str]:
        """How many trials ended in which way."""
        return self.state.endings - Counter(interrupted=len(self._again))

    @property
    def in_training(self) -> frozenset[str]:
        """The trials that began, have not ended and do not wait for their promotion."""
        return self.state.open - self.state.waiting

    @property
    def running(self) -> dict[str, RunningTrial]:
        """The trials in training."""
        return {
            name: RunningTrial(
                self.state.trials[name].hyperparameters,
                [_value(row["metrics"].get(self.metric)) for row in history.rows],
                history.rows[-1]["epoch"] if history.rows else 0,
            )
            for name in sorted(self.in_training)
            for history in [self.state.history(name)]
        }

    @property
    def best(self) -> Best | None:
        """The best so far; None where no trial has a finite value."""
        leader = self.state.leader
        score = self.state.score_of(leader) if leader else None
        if leader is None or score is None:
            return None
        return Best(leader, score, self.state.trials[leader].hyperparameters)

    @property
    def ended(self) -> int:
        """Return the number of trials that are over, however they ended."""
        return self.counts.total()

    @property
    def seconds(self) -> float:
        """Return the seconds since the view opened."""
        return self.now() - self.began

    def share(self) -> float:
        """Return the share of the work done, 0 to 1, a running trial counting by its epochs.

        Trials that are stopped early make the others of their kind shorter too: a running trial is
        measured against the mean length of those that are over, once there are some.
        """
        paused = len(self.state.waiting)
        total = self.total_trials - self._untrained
        ended = self.ended + paused - self._untrained
        if total <= 0:
            return 1.0
        curves = {name: len(trial.curve) for name, trial in self.running.items()}
        lengths = [n for name, n in curves.items() if self.state.trials[name].repeats is None]
        length = float(self.epochs_each)
        if ended:
            length = max((self.state.epochs - sum(curves.values())) / ended, 1.0)
        partly = sum(min(mine / length, 0.95) for mine in lengths)
        return min((ended + partly) / total, 1.0)

    def seconds_left(self) -> float | None:
        """Return how long the run will go on, None while there is too little to judge by."""
        running, paused = self.running, self._paused_at()
        waiting = self.total_trials - self.ended - len(running) - paused.total()
        if not self._seen or not (running or waiting > 0):
            return None
        now = self.now()
        seen = Seen(
            self.epochs_each,
            self.lengths + paused,
            [
                InTraining(trial.epoch, self._pace_of(name, trial, now))
                for name, trial in running.items()
            ],
            max(waiting, 0),
            pace=self._pace(now),
            at_once=self.at_once,
        )
        return seconds_left(seen)

    def time_left(self) -> str:
        """Return the time left in words, or nothing."""
        left = self.seconds_left()
        return "" if left is None else f"about {clock(left)} left"

    def _paused_at(self) -> Counter[int]:
        """Return where the paused trials are: most of them end there."""
        return Counter(self.state.history(name).last_epoch for name in self.state.waiting)

    def _pace(self, now: float) -> float:
        """Return the seconds between two epochs of the run, after the first trial's end: before, workers started."""
        since, before = self.first_end or (now, self._seen)
        if self._places_left > 2 and self._seen > before:
            return (now - since) / (self._seen - before)
        start = now if self.first_start is None else self.first_start
        return (now - start) / max(self._seen, 1)

    def _pace_of(self, name: str, trial: RunningTrial, now: float) -> float | None:
        if name not in self._since:
            return None
        since, before = self._since[name]
        return (now - since) / (len(trial.curve) - before)

    def counted(self) -> str:
        """Return the counts by status: ``20 stopped, 8 finished, 2 running``."""
        counts = [f"{count} {status}" for status, count in self.counts.most_common()]
        if self.in_training:
            counts.append(f"{len(self.in_training)} running")
        if self.state.waiting:
            counts.append(f"{len(self.state.waiting)} paused")
        if self.state.rounds > 1:
            counts.append(f"round {self.state.rounds}")
        return ", ".join([*counts, *self._race()]) or "no trial started"

    def _race(self) -> list[str]:
        """Return how far a race between the best configurations has come."""
        race, trials = self.state.race, self.state.trials
        if race is None:
            ahead = sum(trials[trial].repeats is not None for trial in self.in_training)
            return [f"{ahead} of them for the race to come"] if ahead else []
        if self.state.race_result is not None:
            return []
        again = [t for name in race["finalists"] for t in self.state.replicates_of(name)]
        most = int(race["seeds"]) * len(race["finalists"])
        return [f"race: {sum(t.is_over for t in again)} of at most {most} replicates"]

    def best_line(self) -> str:
        """Return the best so far with its hyperparameters, in one line."""
        found = self.best
        if found is None:
            return f"no finite {self.metric} yet"
        text = f"best {self.metric} {number(found.value)}, trial {found.trial} epoch {found.epoch}"
        chosen = brief(found.hyperparameters)
        return f"{text}: {chosen}" if chosen else text


def _value(value: float | None) -> float:
    return math.nan if value is None else float(value)
