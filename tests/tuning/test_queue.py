from __future__ import annotations

from orchestrator.search import TrialSpec
from orchestrator.search.steps import OFFERED, Done, Start
from orchestrator.tuning.queue import PROGRAMS, TrialQueue, WarmWorkers


class Listed:
    """A search that gives the trials of a list."""

    def __init__(self, specs):
        self.specs = list(specs)

    def next(self, choose=None):
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


def wide(index, units, rate=0.1):
    return TrialSpec(f"{index:05d}", index, index, {"units": units, "learning_rate": rate})


def warm(**trained):
    """Workers that have trained models of these many units."""
    workers = WarmWorkers()
    for worker, units in trained.items():
        for each in units:
            workers.trained(worker, wide(99, each), {"units"})
    return workers


def test_a_worker_gets_the_first_trial_whose_program_it_has_else_that_nobody_has():
    workers = warm(a=[32], b=[64])
    trials = [wide(0, 64), wide(1, 128), wide(2, 32, rate=0.5)]
    assert workers.choose("a", trials).trial == "00002"
    assert workers.choose("a", trials[:2]).trial == "00001"
    assert workers.choose("a", trials[:1]).trial == "00000"
    assert workers.choose("new", trials).trial == "00001"


def test_no_trial_is_passed_over_for_ever():
    workers = warm(a=[32])
    chosen = [workers.choose("a", [wide(0, 64), wide(n, 32)]).index for n in range(1, OFFERED + 3)]
    assert chosen[:-2] == list(range(1, OFFERED + 1))
    assert chosen[-2] == 0


def test_a_worker_is_taken_to_have_dropped_what_it_has_not_trained_for_long():
    workers = warm(a=[1, *range(2, PROGRAMS + 2)], b=[1])
    assert workers.choose("a", [wide(0, 1), wide(1, 2)]).trial == "00001"


def test_what_is_known_of_programs_starts_anew_where_another_hyperparameter_shapes_them():
    workers = warm(a=[32])
    workers.trained("b", wide(9, 64), {"units", "learning_rate"})
    assert workers.choose("a", [wide(0, 64), wide(1, 32)]).trial == "00001"
    assert workers.choose("b", [wide(0, 32), wide(1, 64)]).trial == "00001"
