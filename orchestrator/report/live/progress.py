"""How far a run has come, and how long it will go on: what every view of a running caviar is drawn from.

The time left is shown only where it is more than a guess. A trial that a scheduler may stop ends soon or late, nobody
knows which. So it is estimated twice. At the soonest each trial in training ends where the next of those before it
ended, and those that wait are as long as the ended ones, less the standard error of their mean. At the latest all in
training go on to the last epoch, and those that wait are as long as that makes likely (Kaplan and Meier 1958), and
that error longer. Where the two lie within a factor of four, their geometric mean is right within two.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.records import Event, Mode, RunState, Score, TrialEnd, TrialStarted, TrialWaits
from orchestrator.report.formatting import brief, clock, number

FEWEST_ENDED = 4
FEWEST_SHARE = 0.25
"""So many trials have to have ended, or of few trials this share."""
WIDEST = 4.0


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

    def __post_init__(self) -> None:
        self.state = RunState(self.metric, self.mode, thin=True)
        self.began = self.now()

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before this view was opened."""
        for event in events:
            self.state.apply(event)
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
            self._trained(event)  # type: ignore[arg-type]

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
        lengths = [len(trial.curve) for trial in self.running.values()]
        length = float(self.epochs_each)
        if ended:
            length = max((self.state.epochs - sum(lengths)) / ended, 1.0)
        partly = sum(min(mine / length, 0.95) for mine in lengths)
        return min((ended + partly) / total, 1.0)

    def time_left(self) -> str:
        """Return the time left in words, or nothing while there is too little to judge by."""
        running, paused = self.running, self._paused_at()
        waiting = self.total_trials - self.ended - len(running) - paused.total()
        if not self._seen or not (running or waiting > 0):
            return ""
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
        left = seconds_left(seen)
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
        race = self.state.race
        if race is None or self.state.race_result is not None:
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


@dataclass(frozen=True)
class InTraining:
    """A trial in training: its last epoch, and how many seconds one of its epochs takes, None before the first."""

    epoch: int
    pace: float | None


@dataclass(frozen=True)
class Seen:
    """What is known of a run: ``lengths`` of the ended trials in epochs, and those that wait to be started.

    ``pace`` is the seconds between two epochs of the whole run, ``at_once`` how many trials trained then.
    """

    epochs_each: int
    lengths: Mapping[int, int]
    running: Sequence[InTraining]
    waiting: int
    pace: float
    at_once: int


def seconds_left(seen: Seen) -> float | None:
    """Return the seconds left, None where too few trials have ended to be right within about a factor of two."""
    ended = sum(seen.lengths.values())
    trials = ended + len(seen.running) + seen.waiting
    if ended < min(FEWEST_ENDED, FEWEST_SHARE * trials):
        return None
    mean, error = _mean(seen.lengths)
    longest = min(max(_mean_length(seen), mean) + error, seen.epochs_each)
    soon = _seconds(seen, [_to_next_end(seen, trial) for trial in seen.running], mean - error)
    late = _seconds(seen, [max(seen.epochs_each - t.epoch, 0) for t in seen.running], longest)
    if late > WIDEST * soon:
        return None
    return math.sqrt(soon * late)


def _mean(lengths: Mapping[int, int]) -> tuple[float, float]:
    """Return the mean of the lengths and its standard error."""
    count = sum(lengths.values())
    mean = sum(length * times for length, times in lengths.items()) / count
    squares = sum((length - mean) ** 2 * times for length, times in lengths.items())
    return mean, min(math.sqrt(squares) / count, mean)


def _seconds(seen: Seen, rest: Sequence[int], length: float) -> float:
    """Return the time for the rest of the trials in training and those that wait, no less than one trial's own."""
    together = (sum(rest) + seen.waiting * length) * seen.pace
    usual = seen.pace * max(seen.at_once, 1)
    alone = (
        epochs * (usual if trial.pace is None else trial.pace)
        for epochs, trial in zip(rest, seen.running, strict=True)
    )
    return max(together, max(alone, default=0.0))


def _to_next_end(seen: Seen, trial: InTraining) -> int:
    ends = [length for length in (*seen.lengths, seen.epochs_each) if length > trial.epoch]
    return min(ends, default=trial.epoch) - trial.epoch


def _mean_length(seen: Seen) -> float:
    """Return the mean length of a trial, those in training counted as far as they came."""
    reached = Counter(trial.epoch for trial in seen.running)
    mean, share = 0.0, 1.0
    for epoch in range(1, seen.epochs_each + 1):
        mean += share
        ended_later = sum(count for length, count in seen.lengths.items() if length >= epoch)
        beyond = sum(count for length, count in reached.items() if length > epoch)
        if ended_later + beyond:
            share *= 1 - seen.lengths.get(epoch, 0) / (ended_later + beyond)
    return mean
