from __future__ import annotations

import math

import pytest

from orchestrator.sitter import keep_best


def lived(sitter, day, values, first=1):
    return [sitter.after_day(day(number, value)) for number, value in enumerate(values, first)]


def test_a_plateau_tries_three_rates_from_the_best_day_if_asked_to(sitter, day):
    watching = sitter(branch_and_compare="on", budget_epochs=30)
    *_, [finding] = lived(watching, day, [0.7, 0.8, 0.8, 0.8, 0.8])
    assert (finding.action, finding.to_day, finding.epochs) == ("branch_and_compare", 2, 1)
    assert finding.candidates == pytest.approx((0.03, 0.1, 0.3))
    assert finding.evidence["factors"] == [0.3, 1.0, 3.0]
    assert watching.memory["branched_epochs"] == 3


def test_more_than_the_budget_s_share_is_not_spent(sitter, day):
    watching = sitter(branch_and_compare="on", budget_epochs=14)
    *_, [finding] = lived(watching, day, [0.8] * 4)
    assert finding.rule == "plateau"


def test_it_is_tried_once_between_two_gains(sitter, day):
    watching = sitter(branch_and_compare="on", budget_epochs=1000)
    found = lived(watching, day, [*[0.8] * 7, *[0.9] * 4])
    assert [each[0].rule for each in found if each] == [
        "branch_and_compare",
        "plateau",
        "branch_and_compare",
    ]


def test_the_best_branch_is_kept_if_it_is_better_beyond_the_noise():
    rows = [0.1 * i for i in range(100)]
    kept = keep_best(
        {0.3: [loss - 0.01 for loss in rows], 1.0: rows, 3.0: [loss + 1 for loss in rows]}
    )
    assert kept.factor == 0.3
    assert kept.evidence["branches"]["0.3"]["difference"] == pytest.approx(-0.01)


def test_a_difference_within_the_noise_keeps_what_was():
    noise = [(-1) ** i * 0.5 for i in range(100)]
    kept = keep_best({1.0: [1.0] * 100, 3.0: [0.99 + each for each in noise]})
    assert kept.factor == 1.0


def test_a_branch_that_diverged_is_out():
    kept = keep_best({0.3: [2.0, 2.0], 1.0: [math.nan, 1.0], 3.0: [math.inf, 0.0]})
    assert (kept.factor, kept.evidence["diverged"]) == (0.3, [1.0, 3.0])
    assert keep_best({3.0: [math.nan], 1.0: [math.nan]}).factor == 1.0


def test_one_row_proves_nothing():
    assert keep_best({1.0: [1.0], 3.0: [0.0]}).factor == 1.0


@pytest.mark.parametrize("losses", [{}, {1.0: [1.0], 3.0: [1.0, 2.0]}])
def test_branches_judged_on_different_rows_are_refused(losses):
    with pytest.raises(ValueError, match="one loss for each validation row"):
        keep_best(losses)
