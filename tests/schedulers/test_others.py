"""percentile, patient, hyperband and pasha: what each adds to those they are made of."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest

from orchestrator.config import parse_experiment
from orchestrator.errors import ExperimentFileError
from orchestrator.schedulers import (
    HyperbandOptions,
    MedianOptions,
    PashaOptions,
    PatientOptions,
    PercentileOptions,
)
from orchestrator.testing import check_scheduler
from tests.schedulers.test_every_scheduler import OPTIONS

BASE = {"name": "one", "model": "mlp", "data": "digits", "search_space": "mlp", "epochs": 9}


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_each_passes_the_exam_for_users_own(name):
    check_scheduler(lambda epochs, mode: OPTIONS[name].make(epochs, mode), examples=5)


def test_the_50th_percentile_is_the_median_bit_for_bit():
    draw = Random(1)
    median = MedianOptions(min_trials=1).make(9, "max")
    half = PercentileOptions(min_trials=1, percentile=50.0).make(9, "max")
    for epoch in range(1, 9):
        for trial in "abcdefgh":
            value = draw.choice([draw.random(), math.nan])
            assert half.report(trial, epoch, value) == median.report(trial, epoch, value)


def test_a_percentile_stops_about_that_share_of_the_trials():
    quarter = PercentileOptions(percentile=25.0).make(9, "max")
    draw = Random(1)
    stopped = [quarter.report(str(at), 1, draw.random()).stop for at in range(400)]
    assert 80 <= sum(stopped) <= 120


def patient(curve, **options):
    made = PatientOptions(**options).make(20, "max")
    for epoch, value in enumerate(curve, 1):
        decision = made.report("a", epoch, value)
        if decision.stop:
            return epoch, decision.cutoff
    return None


@pytest.mark.parametrize(
    ("curve", "options", "stopped"),
    [
        ([0.5, 0.4, 0.4, 0.4], {"patience": 3}, (4, 0.5)),
        ([0.5, 0.4, 0.4, 0.6, 0.5, 0.5], {"patience": 3}, None),
        ([0.5, 0.51, 0.52, 0.53], {"patience": 2, "min_delta": 0.1}, (3, 0.6)),
        ([0.5, 0.6, 0.7], {"patience": 2, "min_delta": 0.05}, None),
        ([math.nan] * 4, {"patience": 2}, (2, None)),
        ([0.5] * 9, {"patience": 2, "grace_period": 6}, (6, 0.5)),
    ],
)
def test_a_trial_is_stopped_so_many_epochs_after_it_last_improved(curve, options, stopped):
    assert patient(curve, **options) == stopped


def test_hyperband_gives_each_bracket_about_the_same_epochs_and_later_ones_fewer_trials():
    made = HyperbandOptions(promote=False).make(27, "max")
    assert [each.milestones for each in made.brackets] == [(1, 3, 9), (3, 9), (9,)]
    found = Counter(made.bracket_of(f"{at:05d}").milestones for at in range(300))
    assert [found[each.milestones] for each in made.brackets] == [185, 79, 36]


def test_hyperband_compares_a_trial_with_its_bracket_alone():
    made = HyperbandOptions(promote=False, brackets=2).make(9, "max")
    in_first, in_second = (
        [t for t in map("{:05d}".format, range(40)) if made.bracket_of(t) is each]
        for each in made.brackets
    )
    for trial in in_second:
        assert not made.report(trial, 1, 0.9).stop
    assert not made.report(in_first[0], 1, 0.5).stop
    assert made.report(in_first[1], 1, 0.4).stop


def test_a_trial_may_have_any_name_in_hyperband():
    assert not HyperbandOptions().make(9, "max").report("00000-b1", 1, 0.5).stop


def pasha_of(*rungs):
    """A PASHA of many epochs whose trials have these values at each of its rungs."""
    made = PashaOptions(reduction_factor=2).make(100, "max")
    for epoch, values in zip(made.milestones, rungs, strict=False):
        for trial, value in values.items():
            made.report(trial, epoch, value)
    return made


FIRST = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6, "e": 0.5, "f": 0.4, "g": 0.3, "h": 0.2}


def test_pasha_promotes_to_the_second_rung_and_no_further_while_ranks_agree():
    made = pasha_of(FIRST, {"a": 0.95, "b": 0.85, "c": 0.8, "d": 0.7})
    assert made.promote() == []
    assert next(iter(made.promote_last())) == "a"


def test_pasha_promotes_to_the_third_rung_once_ranks_differ():
    made = pasha_of(FIRST, {"a": 0.85, "b": 0.95, "c": 0.8, "d": 0.7})
    assert made.promote() == ["b", "a"]


def test_what_pasha_does_not_tell_apart_is_no_difference():
    made = PashaOptions(reduction_factor=4).make(100, "max")
    for trial, curve in {"a": [0.90, 0.89, 0.92, 0.90], "b": [0.89, 0.91, 0.90, 0.91]}.items():
        for epoch, value in enumerate(curve, 1):
            made.report(trial, epoch, value)
    assert made.top == 1


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"pbt": {"quantile": 0.25}}, "caviar.scheduler.pbt.quantile"),
        ({"pbt": {"interval": 9}}, "expected fewer than the 9 epochs that a trial trains"),
        ({"pbt": {"replaced": 0.6}}, "caviar.scheduler.pbt.replaced"),
        ({"patient": {"patience": 9}}, "expected fewer than the 9 epochs that a trial trains"),
        ({"patient": {"min_delta": -1}}, "caviar.scheduler.patient.min_delta"),
        ({"hyperband": {"grace_period": 10}}, "expected at most the 9 epochs"),
        ({"pasha": {"grace_period": 10}}, "expected at most the 9 epochs"),
        ({"percentile": {"percentile": 100}}, "caviar.scheduler.percentile.percentile"),
        ({"asha": {"promote": "sometimes"}}, "caviar.scheduler.asha.promote"),
    ],
)
def test_what_does_not_suit_is_refused_in_one_sentence(written, said):
    with pytest.raises(ExperimentFileError) as caught:
        parse_experiment({**BASE, "caviar": {"scheduler": written}})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
