from __future__ import annotations

from orchestrator.domains import Space
from orchestrator.search.random import draw_trials, trial_seed

SPACE = Space.parse({"learning_rate": "loguniform(1e-3, 1)", "units": "integer(1, 100)"})


def test_more_trials_begin_with_the_same_ones():
    assert draw_trials(SPACE, 3, 20)[:5] == draw_trials(SPACE, 3, 5)


def test_any_draw_can_be_had_without_those_before_it():
    assert draw_trials(SPACE, 3, 2, first=11) == draw_trials(SPACE, 3, 13)[11:]


def test_trial_seeds_differ_by_trial_and_by_experiment_and_fit_31_bits():
    seeds = {trial_seed(seed, index) for seed in range(20) for index in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)
