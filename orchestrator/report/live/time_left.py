"""How long a caviar will go on: an estimate where it is more than a guess, and nothing where it is not.

The time left is shown only where it is more than a guess. A trial that a scheduler may stop ends soon or late, nobody
knows which. So it is estimated twice. At the soonest each trial in training ends where the next of those before it
ended, and those that wait are as long as the ended ones, less the standard error of their mean. At the latest all in
training go on to the last epoch, and those that wait are as long as that makes likely (Kaplan and Meier 1958), and
that error longer. Where the two lie within a factor of four, their geometric mean is right within two.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FEWEST_ENDED = 10
"""So many trials have to have ended, or to wait for a promotion that most of them never get."""
WIDEST = 4.0


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
    if ended < FEWEST_ENDED:
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
    usual = seen.pace * max(seen.at_once, 1)
    alone = [
        epochs * (usual if trial.pace is None else trial.pace)
        for epochs, trial in zip(rest, seen.running, strict=True)
    ]
    # The run's pace has the starts in it, which those in training have behind them.
    together = sum(alone) / max(seen.at_once, 1) + seen.waiting * length * seen.pace
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
