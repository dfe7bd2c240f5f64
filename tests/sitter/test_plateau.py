from __future__ import annotations

import math

import pytest

from orchestrator.sitter.divergence import deviation_around_trend
from orchestrator.sitter.plateau import deviation_of_differences, standard_error_of_share


def lived(sitter, day, values, first=1):
    return [sitter.after_day(day(number, value)) for number, value in enumerate(values, first)]


def test_days_that_gain_are_no_plateau(sitter, day):
    assert lived(sitter(), day, [0.5, 0.6, 0.7, 0.8, 0.85, 0.9]) == [[]] * 6


def test_patience_days_within_the_noise_go_back_to_the_best_with_a_lower_rate(sitter, day):
    *quiet, [finding] = lived(sitter(), day, [0.5, 0.8, 0.805, 0.79, 0.8])
    assert quiet == [[]] * 4
    assert (finding.rule, finding.action, finding.to) == ("plateau", "rollback", "best")
    assert finding.to_day == 3
    assert finding.changes == {"learning_rate": pytest.approx(0.03)}
    assert finding.evidence["standard_error"] == pytest.approx(math.sqrt(0.8 * 0.2 / 1000))
    assert finding.evidence["days_without_gain"] == 3


def test_small_gains_add_up(sitter, day):
    creeping = [0.8 + 0.006 * i for i in range(12)]  # half a standard error a day
    assert lived(sitter(), day, creeping) == [[]] * 12


def test_the_same_gain_counts_with_more_rows(sitter, day):
    values = [0.8, 0.801, 0.801, 0.801]
    assert lived(sitter(rows=1000), day, values)[-1] != []
    assert lived(sitter(rows=10**6), day, values)[-1] == []


def sinking(sitter, day, losses, reduced=0):
    watching = sitter()
    watching.remember({**watching.memory, "reductions": reduced})
    return [watching.after_day(day(number, 0.8, *pair)) for number, pair in enumerate(losses, 1)][
        -1
    ]


def test_a_model_whose_losses_fall_every_day_is_on_no_plateau(sitter, day):
    both = [(1.0 - 0.01 * at, 1.1 - 0.01 * at) for at in range(4)]
    assert sinking(sitter, day, both) == []
    assert sinking(sitter, day, [(loss, 1.1) for loss, _ in both]) != []
    assert sinking(sitter, day, [(1.0, val_loss) for _, val_loss in both]) != []


def test_once_the_rate_was_lowered_a_slow_fall_does_not_put_off_the_next_plateau(sitter, day):
    both = [(1.0 - 0.01 * at, 1.1 - 0.01 * at) for at in range(4)]
    assert sinking(sitter, day, both, reduced=1) != []


def test_two_reductions_and_then_a_verdict(sitter, day):
    watching = sitter()
    lived(watching, day, [0.8])
    kept, done = watching.memory, []
    for _ in range(3):
        *_, [finding] = lived(watching, day, [0.8, 0.8, 0.8], first=2)
        done.append(finding.action)
        watching.return_to(kept)
    assert done == ["rollback", "rollback", "stop"]
    assert "after 2 reductions" in finding.verdict


def test_after_a_reduction_patience_begins_anew(sitter, day):
    watching = sitter()
    lived(watching, day, [0.8])
    kept = watching.memory
    lived(watching, day, [0.8, 0.8, 0.8], first=2)
    watching.return_to(kept)
    assert lived(watching, day, [0.8, 0.8], first=2) == [[], []]


def test_a_human_s_change_gives_patience_anew(sitter, day):
    watching = sitter()
    lived(watching, day, [0.8, 0.8, 0.8])
    watching.changed({"learning_rate"})
    assert lived(watching, day, [0.8, 0.8], first=4) == [[], []]


def test_a_model_that_learnt_nothing_starts_afresh(sitter, day):
    for best, to_day in [(0.105, 0), (0.125, 0), (0.14, 1)]:  # three standard errors: 0.03
        found = lived(sitter(patience=4), day, [0.1, best, *[0.1] * 4], first=0)
        assert [each[0].to_day for each in found if each] == [to_day]


def test_a_loss_is_judged_by_its_own_differences(sitter, day):
    watching = sitter(metric="val_loss")
    found = []
    for number, loss in enumerate([2.3, 0.9, 0.5, 0.42, 0.43, 0.42, 0.44, 0.42], 1):
        found.append(watching.after_day(day(number, val_loss=loss)))
    assert [each.rule for each in found[6]] == ["plateau"]
    assert found[6][0].to_day == 4
    assert [each for each in found[:6] if each] == []


def test_advice_counts_nothing_and_comes_again_after_patience(sitter, day):
    watching = sitter("advise")
    found = lived(watching, day, [0.8] * 8)
    assert [len(each) for each in found] == [0, 0, 0, 1, 0, 0, 1, 0]
    assert watching.memory["reductions"] == 0


def test_days_without_a_metric_are_days_without_a_gain(sitter, day):
    assert lived(sitter(), day, [None] * 9) == [[]] * 9
    assert lived(sitter(), day, [0.8, None, math.nan, None])[-1] != []


def test_the_standard_error_of_an_accuracy_is_the_binomial_s():
    assert standard_error_of_share(0.9, 900) == pytest.approx(0.01)


def test_the_noise_of_a_straight_line_is_nothing():
    assert deviation_around_trend([5.0, 4.0, 3.0, 2.0]) == pytest.approx(0.0)
    assert deviation_of_differences([5.0, 4.0, 3.0, 2.0]) == pytest.approx(0.0)


def test_one_great_step_is_not_noise():
    assert deviation_of_differences([2.3, 0.5, 0.45, 0.41, 0.36]) < 0.02
