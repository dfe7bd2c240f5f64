from __future__ import annotations

import math
import random
import statistics
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedulers.median import MedianStopping
from orchestrator.schedulers.scheduler import CONTINUE, Decision, reported, score


def fed(rule, curves):
    for trial, curve in curves.items():
        for epoch, value in enumerate(curve, 1):
            rule.report(trial, epoch, value)
    return rule


OTHERS = {"a": [0.2, 0.4], "b": [0.5, 0.7], "c": [0.8, 1.0]}  # their averages at 2: .3, .6, .9


def test_a_trial_below_the_median_of_the_others_averages_is_stopped_at_that_cutoff():
    rule = fed(MedianStopping(2, 3, 9, "max"), OTHERS | {"d": [0.5]})
    decision = rule.report("d", 2, 0.59)
    assert decision.stop
    assert decision.cutoff == pytest.approx(0.6)


def test_a_trials_best_counts_not_its_last():
    rule = fed(MedianStopping(2, 3, 9, "max"), OTHERS | {"d": [0.61]})
    assert not rule.report("d", 2, 0.1).stop


def test_mode_min_is_the_mirror_image():
    rule = fed(MedianStopping(1, 1, 9, "min"), {"a": [0.2]})
    decision = rule.report("b", 1, 0.3)
    assert (decision.stop, decision.cutoff) == (True, 0.2)
    assert not rule.report("c", 1, 0.1).stop


def test_nobody_is_stopped_before_the_grace_period_or_enough_others():
    rule = fed(MedianStopping(3, 2, 9, "max"), {"a": [0.9] * 9})
    assert not any(rule.report("b", epoch, 0.1).stop for epoch in range(1, 9))
    assert rule.milestones == tuple(range(3, 9))
    fed(rule, {"d": [0.9] * 9})
    assert [rule.report("e", epoch, 0.1).stop for epoch in (1, 2, 3)] == [False, False, True]


def test_those_that_did_not_come_so_far_are_not_compared_with():
    rule = fed(MedianStopping(1, 1, 9, "max"), {"short": [0.9]})
    rule.report("b", 1, 0.95)
    assert not rule.report("b", 2, 0.1).stop


def test_a_trial_level_with_the_median_goes_on():
    rule = fed(MedianStopping(1, 1, 9, "max"), {"a": [0.5]})
    assert not rule.report("b", 1, 0.5).stop


def test_others_without_a_figure_give_no_cutoff():
    rule = fed(MedianStopping(1, 1, 9, "max"), {"a": [math.nan], "b": [math.nan]})
    decision = rule.report("c", 1, 0.5)
    assert (decision.stop, decision.cutoff) == (False, None)


class Plain:
    """The rule as it is written down: every decision averages every other trial's curve."""

    def __init__(self, grace_epochs, min_trials, epochs, mode):
        self.milestones = range(grace_epochs, epochs)
        self.min_trials, self.mode, self.scores = min_trials, mode, {}

    def report(self, trial, epoch, value):
        mine = self.scores.setdefault(trial, {})
        if epoch in mine:
            return CONTINUE
        mine[epoch] = score(value, self.mode)
        return self.decide(trial, epoch) if epoch in self.milestones else CONTINUE

    def review(self, epoch):
        came = [trial for trial, scores in self.scores.items() if epoch in scores]
        return {t: self.decide(t, epoch) for t in came} if epoch in self.milestones else {}

    def decide(self, trial, epoch):
        if self.scores[trial][epoch] == -math.inf:
            return Decision(stop=True)
        others = [
            [value for at, value in scores.items() if at <= epoch and value != -math.inf]
            for name, scores in self.scores.items()
            if name != trial and epoch in scores
        ]
        if len(others) < self.min_trials:
            return CONTINUE
        averages = [sum(curve) / len(curve) if curve else -math.inf for curve in others]
        cutoff = statistics.median(averages)
        best = max(value for at, value in self.scores[trial].items() if at <= epoch)
        return Decision(best < cutoff, reported(cutoff, self.mode))


VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.1, 0.1, math.nan, math.inf, None]))
REPORTS = st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 6), VALUES), max_size=60)


@given(reports=REPORTS, min_trials=st.integers(1, 3), mode=st.sampled_from(["max", "min"]))
def test_it_decides_as_the_rule_does_in_whatever_order_epochs_come(reports, min_trials, mode):
    rule, plain = MedianStopping(2, min_trials, 6, mode), Plain(2, min_trials, 6, mode)
    for report in reports:
        assert rule.report(*report) == plain.report(*report)
    for epoch in range(8):
        assert rule.review(epoch) == plain.review(epoch)


@given(
    curves=st.lists(st.lists(VALUES, min_size=9, max_size=9), min_size=2, max_size=12),
    mode=st.sampled_from(["max", "min"]),
)
def test_it_decides_as_the_rule_does_epoch_by_epoch(curves, mode):
    rule, plain = MedianStopping(1, 1, 9, mode), Plain(1, 1, 9, mode)
    for epoch in range(1, 10):
        for trial, curve in enumerate(curves):
            report = (str(trial), epoch, curve[epoch - 1])
            assert rule.report(*report) == plain.report(*report)


def test_what_a_decision_costs_hardly_grows_with_the_trials():
    def seconds(trials):
        draw = random.Random(trials)
        began = time.process_time()
        rule = MedianStopping(1, 5, 10, "max")
        for trial in range(trials):
            for epoch in range(1, 10):
                rule.report(str(trial), epoch, draw.random())
        return time.process_time() - began

    assert seconds(4_000) < 30 * seconds(500), "eight times the trials"
