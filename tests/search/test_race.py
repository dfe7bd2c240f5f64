"""The statistics of a race, against known formulas and against truths that are known because they were made up."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from orchestrator.search.race import (
    chances,
    differences,
    intervals,
    judged,
    surely_not_best,
    unit_of,
    verdict,
)
from tests.depth import further


def test_an_interval_of_one_alone_is_students():
    scores = [0.91, 0.93, 0.92, 0.95]

    found = intervals({"a": scores})["a"]

    expected = stats.t.interval(0.95, 3, np.mean(scores), stats.sem(scores))
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.sd == pytest.approx(np.std(scores, ddof=1))


def test_one_score_has_a_mean_and_no_interval():
    found = intervals({"a": [0.9]})["a"]

    assert (found.mean, found.sd, found.low, found.high, found.replicates) == (
        *(0.9, None, None, None),
        1,
    )


def test_scores_that_agree_by_rounding_keep_some_noise():
    found = intervals({"a": [0.9, 0.9], "b": [0.91, 0.9]})["a"]

    assert found.sd == 0
    assert found.low < 0.9 < found.high


def test_where_all_scores_are_equal_the_step_of_others_keeps_some_noise():
    found = intervals({"a": [1.0, 1.0], "b": [1.0, 1.0]}, unit=0.02)
    assert found["a"].low < 0.98


def test_a_lucky_one_of_equals_has_an_interval_around_what_they_have_in_common():
    draw = np.random.default_rng(0).normal(0.9, 0.01, (4, 5))
    found = intervals({str(at): scores.tolist() for at, scores in enumerate(draw)})

    best = max(found.values(), key=lambda each: each.mean)
    assert draw.mean() < best.mean
    assert (best.low + best.high) / 2 == pytest.approx(draw.mean(), abs=0.004)


def test_one_that_fails_now_and_then_does_not_hide_what_others_differ_by():
    steady = {"a": [0.95, 0.951, 0.949, 0.95], "b": [0.9, 0.901, 0.9, 0.899]}
    wild = {"c": [0.9, 0.1, 0.9, 0.2]}
    found = differences([0.9, 0.9, 0.901, 0.9], steady | wild)
    assert found["a"].low > 0 > found["b"].low
    assert found["c"].high > 0


def test_the_chance_of_one_of_two_is_that_of_the_paired_t_test():
    first, second = [0.91, 0.93, 0.90], [0.89, 0.92, 0.90]

    found = chances({"a": first, "b": second})

    expected = 1 - stats.ttest_rel(first, second, alternative="greater").pvalue
    assert found["a"] == pytest.approx(expected)
    paired = differences(second, {"a": first})["a"]
    expected = stats.ttest_rel(first, second).confidence_interval(0.95)
    assert (paired.low, paired.high) == pytest.approx((expected.low, expected.high))


def test_what_a_seed_does_to_all_cancels():
    seeds = np.array([0.0, 0.3, -0.2])
    scores = {"a": [0.9, 0.97, 0.91], "b": [0.8, 0.92, 0.84], "c": [0.85, 0.85, 0.96]}
    shifted = {name: (np.array(values) + seeds).tolist() for name, values in scores.items()}

    assert chances(shifted) == pytest.approx(chances(scores), abs=1e-9)


def test_equal_scores_are_equally_likely_to_be_the_best():
    found = verdict({"a": [0.9, 0.9], "b": [0.9, 0.9], "c": [0.9, 0.9]}, {"a": 30, "b": 10})

    assert found.kind == "tied"
    assert found.winner == "b"
    assert list(found.chances.values()) == pytest.approx([1 / 3] * 3)


def test_two_that_differ_without_any_noise_are_not_yet_told_apart_by_two_replicates():
    found = verdict({"a": [0.91, 0.91], "b": [0.90, 0.90]}, {})

    assert found.kind == "tied"
    assert found.chances["a"] > 0.8


def test_the_smaller_of_two_level_ones_is_taken_though_the_larger_came_out_higher():
    scores = {"large": [0.92, 0.90, 0.93], "small": [0.90, 0.93, 0.91]}

    found = verdict(scores, {"large": 1000, "small": 100})

    assert (found.kind, found.winner, set(found.tied)) == ("tied", "small", {"large", "small"})


def test_a_smaller_one_that_is_behind_by_more_than_an_error_is_not_taken():
    scores = {"large": [0.92, 0.94, 0.93], "small": [0.90, 0.95, 0.90]}

    found = verdict(scores, {"large": 1000, "small": 100})

    assert (found.kind, found.winner) == ("tied", "large")


def test_where_the_sizes_are_equal_or_unknown_the_higher_mean_is_taken():
    scores = {"a": [0.92, 0.90, 0.91], "b": [0.90, 0.93, 0.92]}

    assert verdict(scores, {"a": 5, "b": 5}).winner == "b"
    assert verdict(scores, {}).winner == "b"


def test_a_clear_best_is_the_best():
    scores = {"a": [0.95, 0.951, 0.949], "b": [0.8, 0.81, 0.79], "c": [0.7, 0.72, 0.71]}

    found = verdict(scores, {})

    assert (found.kind, found.winner, found.tied) == ("best", "a", ())
    assert found.chance > 0.99
    assert surely_not_best(found.chances, 3, 0.95) == {"b", "c"}


@pytest.mark.parametrize(
    "scores",
    [{"a": [0.9], "b": [0.9]}, {"a": [0.9, 0.8], "b": [0.9]}, {"a": [0.9, math.nan], "b": [1, 1]}],
)
def test_what_cannot_be_compared_is_refused(scores):
    with pytest.raises(ValueError, match="expected"):
        chances(scores)


def test_the_unit_is_the_smallest_step():
    assert unit_of({"a": [0.9, 0.93], "b": [0.91, 0.9]}) == pytest.approx(0.01)
    assert unit_of({"a": [0.9], "b": [0.9]}) == 0


def raced(truth, noise, seeds, draw):
    """Return the verdict and the replicates used by a race among made-up configurations of known means."""
    of_seed = draw.normal(0, 0.7, seeds)
    table = truth[:, None] + of_seed + noise[:, None] * draw.normal(size=(len(truth), seeds))
    alive = list(range(len(truth)))
    for count in range(2, seeds + 1):
        found = verdict({str(at): table[at, :count] for at in alive}, {}, among=len(truth))
        if found.kind == "best":
            break
        alive = [int(name) for name in found.tied]
    return found, table[:, :count]


@pytest.mark.parametrize("unequal", [False, True], ids=["equal noise", "unequal noise"])
@pytest.mark.parametrize(("many", "seeds"), [(2, 3), (3, 3), further(5, 5)])
def test_of_known_truths_intervals_cover_and_the_wrong_one_is_rarely_called_the_best(
    many, seeds, unequal
):
    draw = np.random.default_rng(many)
    wrong, covered, runs = 0, [], 200
    for _ in range(runs):
        truth = draw.normal(0, 1, many)
        noise = draw.uniform(0.3, 2, many) if unequal else np.ones(many)
        found, table = raced(truth, noise, seeds, draw)
        # Worse than another one by more than the noise: two standard errors of the difference.
        best, winner = int(truth.argmax()), int(found.winner)
        error = math.hypot(noise[best], noise[winner]) / math.sqrt(seeds)
        wrong += truth[best] - truth[winner] > 2 * error
        spans = intervals({str(at): scores.tolist() for at, scores in enumerate(table)})
        covered.append(spans[found.winner].low <= truth[winner] <= spans[found.winner].high)

    assert wrong / runs <= 0.05
    assert np.mean(covered) >= 0.9


def test_an_epoch_is_chosen_by_the_other_replicates():
    curves = [[1, 5, 2], [1, 2, 4], [0, 3, 6]]
    assert judged(curves) == [2, 2, 3]  # the others' means are best at epochs 3, 2 and 2


def test_a_pure_noise_curve_is_judged_without_optimism():
    noise = np.random.default_rng(0).normal(size=(400, 5, 20))
    assert np.mean([np.max(curve, axis=1) for curve in noise]) > 1.5
    assert abs(np.mean([judged(curve) for curve in noise])) < 0.05


def test_epochs_without_a_score_choose_and_judge_nothing():
    nan = float("nan")
    assert judged([[1, nan, 3], [2, 9, 1], [2, 8]]) == pytest.approx([nan, 2, 2], nan_ok=True)
    assert judged([[nan, nan], [1, 2]]) == pytest.approx([nan, nan], nan_ok=True)
    assert judged([[1, 2]]) == judged([]) == []
