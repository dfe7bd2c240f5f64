from __future__ import annotations

from orchestrator.schedulers import Decision, PassedBefore
from orchestrator.schedulers.asha import Asha


def asha(values):
    """A scheduler that has seen ``values`` at rung 1."""
    scheduler = Asha((1, 3), 3, "max")
    for number, value in enumerate(values):
        scheduler.report(f"other{number}", 1, value)
    return scheduler


def test_a_trial_is_not_stopped_where_its_records_go_on():
    crowd = [0.9, 0.8, 0.7]
    assert asha(crowd).report("a", 1, 0.1).stop
    assert not PassedBefore(asha(crowd), {"a": 2}).report("a", 1, 0.1).stop
    assert PassedBefore(asha(crowd), {"a": 1}).report("a", 1, 0.1).stop


def test_a_trial_that_was_stopped_is_stopped_there_again_by_the_same_cutoff():
    scheduler = asha([0.1])
    scheduler.report("a", 1, 0.5)
    assert not scheduler.report("a", 1, 0.5).stop, "the second time nothing is decided"
    held = PassedBefore(scheduler, {"a": 1}, {"a": (1, Decision(stop=True, cutoff=0.7))})
    assert held.report("a", 1, 0.5) == Decision(stop=True, cutoff=0.7)
    assert not held.report("b", 1, 0.9).stop
