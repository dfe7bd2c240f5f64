from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedulers.asha import Asha, rung_epochs


@pytest.mark.parametrize(
    ("grace", "factor", "epochs", "rungs"),
    [
        (1, 3, 27, (1, 3, 9)),
        (1, 3, 28, (1, 3, 9, 27)),
        (1, 3, 81, (1, 3, 9, 27)),
        (2, 4, 100, (2, 8, 32)),
        (1, 1.5, 10, (1, 2, 3, 5, 8)),
        (2, 2.5, 40, (2, 5, 12, 31)),
        (5, 3, 5, ()),
        (1, 3, 1, ()),
    ],
)
def test_rungs_are_grace_times_powers_of_the_factor_below_the_last_epoch(
    grace, factor, epochs, rungs
):
    assert rung_epochs(grace, factor, epochs) == rungs


@given(grace=st.integers(1, 30), factor=st.floats(1.05, 10), epochs=st.integers(1, 300))
def test_rungs_ascend_from_the_grace_period_and_end_before_the_last_epoch(grace, factor, epochs):
    rungs = rung_epochs(grace, factor, epochs)
    assert list(rungs) == sorted(set(rungs))
    assert all(grace <= rung < epochs for rung in rungs)
    assert (grace < epochs) == (grace in rungs)


def one_rung(factor=3, mode="max"):
    return Asha((1,), factor, mode)


def decisions(scheduler, values):
    return [scheduler.report(f"{at:05d}", 1, value).stop for at, value in enumerate(values)]


def test_the_first_of_all_passes_and_later_ones_must_beat_the_best_until_there_are_six():
    assert decisions(one_rung(), [0.5, 0.4, 0.6, 0.55, 0.59, 0.58]) == [
        False, True, False, True, True, True,
    ]  # fmt: skip
    assert decisions(one_rung(), [0.5, 0.4, 0.6, 0.55, 0.3, 0.59])[-1] is False  # 2nd of 6


def test_a_crowd_at_chance_does_not_carry_itself_upward():
    assert decisions(one_rung(), [0.1] * 30) == [False, *[True] * 29]


def test_those_of_a_tie_who_came_first_pass_until_the_share_is_full():
    stopped = decisions(one_rung(), [0.9, *[0.1] * 20])
    assert stopped == [False, *[True] * 20]
    rung = one_rung()
    decisions(rung, [0.1] * 8)
    assert decisions_of_names(rung, {"good": 0.9, "same": 0.9, "once more": 0.9}) == [
        False, False, False,
    ]  # fmt: skip
    assert decisions_of_names(rung, {"4th of 12": 0.9, "5th of 13": 0.9}) == [False, True]


def decisions_of_names(scheduler, values):
    return [scheduler.report(name, 1, value).stop for name, value in values.items()]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.sampled_from([1.5, 2, 2.5, 3, 4]))
def test_a_trial_passes_exactly_if_its_rank_is_within_the_share(values, factor):
    rung = one_rung(factor)
    seen = []
    for at, value in enumerate(values):
        seen.append(value)
        rank = sum(other >= value for other in seen)
        share = max(1, math.floor(len(seen) / factor))
        assert rung.report(str(at), 1, value).stop == (rank > share)


def test_the_cutoff_is_the_worst_value_that_would_have_passed():
    rung = one_rung()
    for at, value in enumerate([0.1, 0.2, 0.3, 0.4, 0.5]):
        rung.report(str(at), 1, value)
    decision = rung.report("last", 1, 0.35)
    assert decision.stop
    assert decision.cutoff == 0.4


def test_a_cutoff_of_mode_min_has_the_metrics_own_sign():
    rung = one_rung(mode="min")
    rung.report("a", 1, 0.2)
    decision = rung.report("b", 1, 0.7)
    assert (decision.stop, decision.cutoff) == (True, 0.2)


def test_there_is_no_cutoff_where_all_are_no_numbers():
    decision = one_rung().report("a", 1, math.nan)
    assert (decision.stop, decision.cutoff) == (True, None)


def test_a_diverged_trial_counts_among_those_that_came_to_the_rung():
    rung = one_rung()
    assert decisions(rung, [0.5, 0.6, *[math.nan] * 3]) == [False, False, True, True, True]
    assert decisions_of_names(rung, {"second best of six": 0.55}) == [False]


def test_between_rungs_nothing_is_decided_or_remembered():
    scheduler = Asha((1, 3), 3, "max")
    assert not scheduler.report("a", 2, math.nan).stop
    assert scheduler.rungs == {1: {}, 3: {}}


def test_a_whole_rung_lets_no_more_pass_than_its_share_and_equals_in_their_order():
    asha = Asha((1, 3), 3, "max")
    for index, value in enumerate([0.1, 0.9, 0.5, 0.9, 0.2, 0.3, math.nan]):
        asha.report(str(index), 3, value)
    decided = asha.review(3)
    assert [trial for trial, decision in decided.items() if not decision.stop] == ["1", "3"]
    assert {decision.cutoff for decision in decided.values()} == {0.9}
    assert asha.review(2) == {}


def test_a_rung_of_one_passes_and_one_of_no_figures_does_not():
    asha = Asha((1, 3), 3, "min")
    assert asha.review(3) == {}
    asha.report("a", 3, 0.5)
    assert not asha.review(3)["a"].stop
    asha.report("b", 1, math.inf)
    assert asha.review(1)["b"].stop


def test_between_equal_values_the_lower_validation_loss_then_fewer_parameters_pass():
    rung = one_rung()
    decisions(rung, [0.1] * 5)  # the next one is the sixth: two may pass
    assert not rung.report("good", 1, 0.9, (0.3, 100)).stop
    assert not rung.report("lower loss", 1, 0.9, (0.2, 100)).stop
    assert rung.report("third", 1, 0.9, (0.3, 200)).stop
    assert not rung.report("smaller", 1, 0.9, (0.2, 50)).stop
    assert rung.report("unknown", 1, 0.9).stop


def test_a_whole_rung_is_reviewed_by_the_same_rule():
    rung = one_rung()
    for name, loss in {"first": 0.3, "second": 0.2, "third": 0.4}.items():
        rung.report(name, 1, 0.9, (loss, 1))
    assert {name: found.stop for name, found in rung.review(1).items()} == {
        "first": True,
        "second": False,
        "third": True,
    }
