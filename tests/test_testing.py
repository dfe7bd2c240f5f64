"""The exam that users run on their own schedulers: ours pass it, and each way to fail it is named."""

from __future__ import annotations

from functools import partial

import pytest

from orchestrator.schedulers import SCHEDULERS, Decision
from orchestrator.testing import check_scheduler


@pytest.mark.parametrize("name", SCHEDULERS)
def test_ours_pass(name):
    check_scheduler(lambda epochs, mode: SCHEDULERS[name]().make(epochs, mode), examples=20)


class Mine:
    """Stops whoever is below a floor at one epoch: as simple as a scheduler gets, and right."""

    name = "mine"

    def __init__(self, epochs, mode, at=3):
        self.milestones = (at,)
        self.floor = 0.5 if mode == "max" else -0.5
        self.sign = 1 if mode == "max" else -1
        self.seen = {}

    def report(self, trial, epoch, value, ties=None):
        if epoch not in self.milestones or not isinstance(value, float):
            return Decision(stop=False)
        self.seen[trial] = value
        return self.decided(trial) if len(self.seen) > 1 else Decision(stop=False)

    def decided(self, trial):
        return Decision(self.sign * self.seen[trial] < self.floor, 0.5)

    def review(self, epoch):
        return {trial: self.decided(trial) for trial in self.seen}


class NoDecision(Mine):
    def report(self, trial, epoch, value, ties=None):
        return super().report(trial, epoch, value) if trial == "00000" else False


class EndlessCutoff(Mine):
    def report(self, trial, epoch, value, ties=None):
        return Decision(stop=False, cutoff=float("nan"))


class StopsBetween(Mine):
    def report(self, trial, epoch, value, ties=None):
        return Decision(trial != "00000" and epoch == 2)


class Remembers(Mine):
    told = 0

    def report(self, trial, epoch, value, ties=None):
        Remembers.told += 1
        return Decision(trial != "00000" and epoch in self.milestones and Remembers.told % 3 == 0)


class CountsTwice(Mine):
    told = 0

    def report(self, trial, epoch, value, ties=None):
        self.told += 1
        return Decision(trial != "00000" and epoch in self.milestones and self.told % 3 == 0)


class ReviewsAll(Mine):
    def review(self, epoch):
        return {"99999": Decision(stop=False)}


def test_a_right_one_passes_and_its_options_are_given_by_a_partial():
    check_scheduler(partial(Mine, at=2), examples=20)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (partial(Mine, at=9), "milestones: expected whole numbers, ascending"),
        (NoDecision, "expected a Decision, got False"),
        (EndlessCutoff, "expected a finite cutoff or None"),
        (StopsBetween, "stopped between milestones"),
        (Remembers, "the same epochs reported again"),
        (CountsTwice, "when every epoch was reported twice"),
        (ReviewsAll, "decided about ['99999']"),
    ],
)
def test_what_breaks_the_contract_is_named(factory, said):
    with pytest.raises(AssertionError) as caught:
        check_scheduler(factory)
    assert said in str(caught.value)
