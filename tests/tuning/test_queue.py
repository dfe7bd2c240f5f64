from __future__ import annotations

from orchestrator.search import TrialSpec
from orchestrator.search.steps import Done, Start
from orchestrator.tuning.queue import TrialQueue


class Listed:
    """A search that gives the trials of a list."""

    def __init__(self, specs):
        self.specs = list(specs)

    def next(self):
        return Start(self.specs.pop(0)) if self.specs else Done()

    @property
    def is_done(self):
        return not self.specs


def spec(index):
    return TrialSpec(f"{index:05d}", index, index, {})


def names(queue, now=0.0, most=9):
    found = (queue.next(now) for _ in range(most))
    return [one.trial for one in found if one is not None]


def test_trials_come_in_the_order_they_were_planned():
    assert names(TrialQueue(Listed([spec(0), spec(1), spec(2)]), None, list)) == [
        "00000",
        "00001",
        "00002",
    ]


def test_no_more_than_at_once_are_in_training():
    queue = TrialQueue(Listed([spec(0), spec(1), spec(2)]), 2, list)
    assert names(queue) == ["00000", "00001"]
    queue.leave("00000")
    assert names(queue) == ["00002"]


def test_a_lost_trial_waits_its_time_and_then_comes_first():
    queue = TrialQueue(Listed([spec(0), spec(1)]), 1, list)
    lost = queue.next(0.0)
    queue.try_again(lost, ready=5.0)
    assert names(queue, now=4.9) == ["00001"]
    queue.leave("00001")
    assert queue.next(4.9) is None
    assert not queue.is_empty
    assert names(queue, now=5.0) == ["00000"]
    assert queue.is_empty


def test_a_closed_queue_hands_out_nothing_and_counts_as_empty():
    queue = TrialQueue(Listed([spec(0), spec(1)]), None, list)
    queue.next(0.0)
    queue.closed = True
    assert queue.next(0.0) is None and queue.is_empty
    assert list(queue.live) == ["00000"]


def test_fewer_than_one_is_one():
    queue = TrialQueue(Listed([spec(index) for index in range(5)]), None, list)
    assert queue.fewer_than(3) == 2 and names(queue) == ["00000", "00001"]
    assert queue.fewer_than(1) == 1
