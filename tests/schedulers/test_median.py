from __future__ import annotations

import math

import pytest

from orchestrator.schedulers.median import MedianStopping


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
