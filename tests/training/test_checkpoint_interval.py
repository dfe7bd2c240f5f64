from __future__ import annotations

import pytest

from orchestrator.config import Duration
from orchestrator.trials.judging import CheckpointInterval


class Clock:
    """A clock that is set, and an interval by it."""

    def __init__(self, every):
        self.time = 0.0
        self.trained = (0, 0)
        self.interval = CheckpointInterval(every, lambda: self.time)

    def keep(self, cost):
        with self.interval.saving(*self.trained):
            self.time += cost

    def due_at(self, *times):
        found = []
        for self.time in times:
            found.append(self.interval.is_due(*self.trained))
        return found


def test_a_state_that_costs_nothing_is_kept_every_second():
    clock = Clock("auto")
    assert clock.due_at(0.9, 1.0) == [False, True]
    clock.keep(0.0)
    assert clock.due_at(1.9, 2.0) == [False, True]


def test_keeping_takes_no_more_than_a_twentieth_of_the_time():
    clock = Clock("auto")
    clock.keep(2.0)
    assert clock.due_at(41.9, 42.1) == [False, True]


def test_a_state_however_large_is_kept_every_three_minutes():
    clock = Clock("auto")
    clock.keep(60.0)
    assert clock.due_at(239.0, 240.0) == [False, True]


@pytest.mark.parametrize(
    ("every", "early", "due"),
    [(Duration(3, "epoch"), (2, 29), (3, 30)), (Duration(25, "step"), (2, 24), (2, 25))],
)
def test_it_can_be_asked_for_in_epochs_and_steps(every, early, due):
    clock = Clock(every)
    clock.trained = early
    assert clock.due_at(1e6) == [False]
    clock.trained = due
    assert clock.due_at(1e6) == [True]
    clock.keep(1.0)
    clock.trained = tuple(map(sum, zip(due, early, strict=True)))
    assert clock.due_at(2e6) == [False]


def test_it_can_be_asked_for_in_time():
    assert Clock(Duration(2, "minute")).due_at(119.0, 120.0) == [False, True]
