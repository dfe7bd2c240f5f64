from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.drift.decision import (
    Margin,
    Rival,
    compare,
    decide,
    margin_of,
    rank_correlation,
)


def rival(name, mean, sd=0.01, seeds=5, near=True, seed=0):
    scores = np.random.default_rng([seed, sum(map(ord, name))]).normal(mean, sd, seeds)
    return Rival(name, tuple(scores.tolist()), near)


def test_equal_configurations_are_kept_whatever_the_seeds():
    kept = [
        decide(
            rival("incumbent", 0.9, seed=seed),
            [rival(f"runner-up {at}", 0.9, seed=seed) for at in range(6)],
            "max",
            margin=Margin(0.005),
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
        rival("incumbent", 0.9), [better, rival("runner-up 1", 0.89)], "max", margin=Margin(0.02)
    )
    assert (found.verdict, found.exit_code, found.best) == (verdict, code, "step 1")


def test_a_win_smaller_than_the_margin_is_none_however_sure():
    found = decide(
        rival("incumbent", 0.9, 1e-6), [rival("step 1", 0.91, 1e-6)], "max", margin=Margin(0.02)
    )
    assert found.verdict == "keep"


def test_for_a_loss_less_is_better():
    found = decide(rival("incumbent", 1.0), [rival("step 1", 0.5)], "min", margin=Margin(0.02))
    assert found.verdict == "retune"
    assert found.comparisons[0].mean == pytest.approx(0.5, abs=0.05)


def test_an_incumbent_that_trains_no_more_means_to_search_again():
    found = decide(
        Rival("incumbent", (None, math.nan), True), [rival("step 1", 0.5)], "max", Margin(0.02)
    )
    assert found.verdict == "search again"


def test_only_seeds_that_both_have_are_compared():
    incumbent = Rival("incumbent", (0.1, 0.9, None, 0.9), True)
    (found,) = compare(
        incumbent, [Rival("step 1", (None, 0.9, 0.9, 0.9), True)], "max", Margin(0.01)
    )
    assert (found.seeds, found.mean) == (2, 0.0)


def test_a_perfect_score_of_few_rows_has_noise_too():
    assert margin_of("val_accuracy", "max", 1.0, 36).value > 1 / 36


@pytest.mark.parametrize("metric", ["mae", "mse", "rmse", "r2"])
def test_the_error_of_a_regressions_score_is_what_other_rows_make_of_it(metric):
    rng, rows = np.random.default_rng(0), 200
    off = rng.normal(0, 1, (4000, rows))
    found = {
        "mae": np.abs(off).mean(axis=1),
        "mse": (off**2).mean(axis=1),
        "rmse": np.sqrt((off**2).mean(axis=1)),
        "r2": 1 - (off**2).mean(axis=1) / 4,  # the same labels, whichever configuration
    }[metric]
    mode = "max" if metric == "r2" else "min"
    margin = margin_of(f"val_{metric}", mode, float(found.mean()), rows)
    assert margin.is_error
    assert 0.7 < found.std() / margin.value < 1.1


def test_where_no_rows_are_known_a_difference_has_to_be_a_share_of_the_score():
    assert margin_of("loss", "min", 10.0, None) == Margin(pytest.approx(0.2))


def right_rows(rng, configurations, better=0.0, rows=57):
    """Scores of ten seeds on some rows, each with its chance of being right, that configurations share in part.

    ``better`` is by how much the last one is better on all rows that there could be.
    """
    chances = np.clip(rng.beta(5, 0.5, rows) + rng.normal(0, 0.12, (configurations, rows)), 0, 1)
    chances[-1] = np.clip(chances[-1] + better, 0, 1)
    return (rng.random((10, configurations, rows)) < chances).mean(axis=2).T


def decided(better, rows):
    rng = np.random.default_rng(0)
    verdicts = []
    for _ in range(100):
        first, *others = right_rows(rng, 8, better, rows)
        rivals = [Rival(f"step {at}", tuple(each), True) for at, each in enumerate(others)]
        margin = margin_of("val_accuracy", "max", float(first.mean()), rows)
        verdicts.append(
            decide(Rival("incumbent", tuple(first), True), rivals, "max", margin).verdict
        )
    return verdicts.count("retune")


def test_a_challenger_that_is_better_only_on_the_rows_at_hand_does_not_win():
    assert decided(better=0.0, rows=30) <= 5


def test_one_that_is_better_on_all_rows_wins_where_there_are_enough():
    assert decided(better=0.06, rows=2000) >= 90


def test_ranks_of_then_and_now_are_correlated_where_both_are_known():
    assert rank_correlation([1, 2, 3, None], [10, 20, 30, 5]) == (pytest.approx(1.0), 3)
    assert rank_correlation([1, None, None], [1, 2, 3]) is None
