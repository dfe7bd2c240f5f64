from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.drift.decision import Rival, compare, decide, margin_of, rank_correlation


def rival(name, mean, sd=0.01, seeds=5, near=True, seed=0):
    scores = np.random.default_rng([seed, sum(map(ord, name))]).normal(mean, sd, seeds)
    return Rival(name, tuple(scores.tolist()), near)


def test_equal_configurations_are_kept_whatever_the_seeds():
    kept = [
        decide(
            rival("incumbent", 0.9, seed=seed),
            [rival(f"runner-up {at}", 0.9, seed=seed) for at in range(6)],
            "max",
            margin=0.005,
        ).verdict
        for seed in range(200)
    ]
    assert kept.count("keep") >= 190


@pytest.mark.parametrize(
    ("near", "verdict", "code"), [(True, "retune", 10), (False, "search again", 11)]
)
def test_a_challenger_that_wins_by_more_than_the_noise_decides_by_where_it_lies(
    near, verdict, code
):
    better = rival("step 1", 0.98, near=near)
    found = decide(
        rival("incumbent", 0.9), [better, rival("runner-up 1", 0.89)], "max", margin=0.02
    )
    assert (found.verdict, found.exit_code, found.best) == (verdict, code, "step 1")


def test_a_win_smaller_than_the_margin_is_none_however_sure():
    found = decide(rival("incumbent", 0.9, 1e-6), [rival("step 1", 0.91, 1e-6)], "max", margin=0.02)
    assert found.verdict == "keep"


def test_for_a_loss_less_is_better():
    found = decide(rival("incumbent", 1.0), [rival("step 1", 0.5)], "min", margin=0.02)
    assert found.verdict == "retune"
    assert found.comparisons[0].mean == pytest.approx(0.5, abs=0.05)


def test_an_incumbent_that_trains_no_more_means_to_search_again():
    found = decide(Rival("incumbent", (None, math.nan), True), [rival("step 1", 0.5)], "max", 0.02)
    assert found.verdict == "search again"


def test_only_seeds_that_both_have_are_compared():
    incumbent = Rival("incumbent", (0.1, 0.9, None, 0.9), True)
    (found,) = compare(incumbent, [Rival("step 1", (None, 0.9, 0.9, 0.9), True)], "max", 0.01)
    assert (found.seeds, found.mean) == (2, 0.0)


def test_a_perfect_score_of_few_rows_has_noise_too():
    assert margin_of("val_accuracy", 1.0, 36) > 1 / 36
    assert margin_of("val_accuracy", 0.5, 10_000) == pytest.approx(0.005, rel=0.01)
    assert margin_of("val_mae", 10.0, 36) == pytest.approx(0.2)


def test_ranks_of_then_and_now_are_correlated_where_both_are_known():
    assert rank_correlation([1, 2, 3, None], [10, 20, 30, 5]) == (pytest.approx(1.0), 3)
    assert rank_correlation([1, None, None], [1, 2, 3]) is None
