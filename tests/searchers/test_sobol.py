from __future__ import annotations

import random

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space, Uniform
from orchestrator.errors import ExperimentFileError
from orchestrator.search import make_plan
from orchestrator.searchers import SobolOptions, complete, misfit
from orchestrator.testing import check_searcher

SPACE = Space.parse(
    {
        "rate": "loguniform(1e-4, 1)",
        "beta": "one_minus_loguniform(0.9, 0.999)",
        "optimizer": "choice([sgd, adam])",
        "momentum": {"when": {"optimizer": "sgd"}, "domain": "uniform(0, 1)"},
        "layers": 2,
    }
)


def points(seed=0, count=64):
    made = SobolOptions().make(SPACE, seed, 9, "max")
    return [made.ask(index) for index in range(count)]


def test_a_point_follows_from_the_seed_and_its_index_in_whatever_order_it_is_asked_for():
    expected = points()
    order = list(range(64))
    random.Random(0).shuffle(order)
    made = SobolOptions().make(SPACE, 0, 9, "max")
    assert {at: made.ask(at) for at in order} == dict(enumerate(expected))
    assert SobolOptions().make(SPACE, 0, 9, "max").ask(41) == expected[41]
    assert points(seed=1) != expected


@pytest.mark.parametrize("name", ["rate", "beta"])
def test_each_eighth_of_a_domain_s_own_scale_has_as_many_points(name):
    shares = [SPACE.domains[name].to_unit(point[name]) for point in points()]
    assert [sum(int(share * 8) == part for share in shares) for part in range(8)] == [8] * 8


def test_what_does_not_exist_beside_the_others_is_dropped_and_each_beta_brings_its_complement():
    found = [complete(point, SPACE, 0, index) for index, point in enumerate(points())]
    assert {each["optimizer"] for each in found if "momentum" in each} == {"sgd"}
    assert {each["optimizer"] for each in found if "momentum" not in each} == {"adam"}
    assert all(each["one_minus_beta"] == pytest.approx(1 - each["beta"]) for each in found)


def test_a_space_of_single_values_is_no_sequence():
    alone = Space.parse({"layers": 2})
    assert SobolOptions().make(alone, 0, 9, "max").ask(3) == {}


def test_more_hyperparameters_than_the_sequence_has_dimensions_are_refused():
    wide = Space(dict.fromkeys((f"h{at}" for at in range(21_202)), Uniform(0, 1)))
    content = {"trial": "./a.py:f", "metric": "loss", "search_space": {"rate": 1}}
    content["caviar"] = {"searcher": "sobol"}
    with pytest.raises(
        ExperimentFileError, match=r"caviar.searcher.sobol: expected at most 21,201"
    ):
        make_plan(parse_experiment(content), wide)


def test_it_passes_the_searchers_exam():
    check_searcher(lambda **about: SobolOptions().make(**about), examples=5)


def test_a_point_that_breaks_a_constraint_is_drawn_and_is_no_failure():
    space = Space.parse({"a": "uniform(0, 1)", "b": "uniform(0, 1)"}, constraints=["a + b < 1"])
    searcher = SobolOptions().make(space, 0, 1, "max")
    asked = [searcher.ask(index) for index in range(16)]
    assert {} in asked
    assert all(misfit(each, space) is None for each in asked)
