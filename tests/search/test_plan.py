from __future__ import annotations

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.search import make_plan
from orchestrator.search.plan import trial_seed

EXPERIMENT = {
    "name": "one",
    "model": "mlp",
    "data": "digits",
    "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
    "seed": 7,
    "epochs": 5,
    "caviar": {"num_samples": 4},
}


def plan(**changes):
    experiment = parse_experiment({**EXPERIMENT, **changes})
    return make_plan(experiment, Space.parse(experiment.search_space))


def test_the_same_experiment_and_seed_make_the_same_plan():
    assert plan() == plan()
    assert plan(seed=8) != plan()


def test_trials_are_named_by_their_place_in_the_sequence_and_have_their_own_seeds():
    trials = list(plan().draws())
    assert [spec.trial for spec in trials] == ["00000", "00001", "00002", "00003"]
    assert [spec.index for spec in trials] == [0, 1, 2, 3]
    assert len({spec.seed for spec in trials}) == 4


def test_auto_leaves_the_number_of_trials_at_once_to_the_resources():
    assert plan().max_concurrent_trials is None
    caviar = {"num_samples": 4, "max_concurrent_trials": 3}
    assert plan(caviar=caviar).max_concurrent_trials == 3


def test_trial_seeds_differ_by_trial_and_by_experiment_and_fit_31_bits():
    seeds = {trial_seed(seed, index) for seed in range(20) for index in range(50)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_as_many_lanes_are_tried_as_rates_or_a_few_branches():
    start = {"start": {"learning_rate": 0.1}}
    assert plan(strategy="panda", panda=start).nursery.most_at_once == 4
    rates = {"sitter": {"branch_and_compare": {"factors": [0.1, 0.3, 1, 3, 10]}}}
    assert plan(strategy="panda", panda=start | rates).nursery.most_at_once == 5
