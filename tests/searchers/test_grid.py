from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError
from orchestrator.search import make_plan
from orchestrator.searchers import GridOptions, Observation, complete
from orchestrator.testing import check_searcher

SPACE = Space.parse(
    {
        "rate": "loguniform(1e-4, 1)",
        "layers": "integer(1, 3)",
        "optimizer": "choice([sgd, adam])",
        "momentum": {"when": {"optimizer": "sgd"}, "domain": "uniform(0, 1)"},
    }
)
SIZE = 5 * 3 * (5 + 1)


def trials(options, space=SPACE, count=SIZE + 1, seed=0):
    made = options.make(space, seed, 9, "max")
    asked = [made.ask(index) for index in range(count)]
    return [
        each and complete(each, space, seed, index)
        for index, each in enumerate(asked)
        if each is not None
    ]


def values(options, domain):
    space = Space.parse({"a": domain})
    return [each["a"] for each in trials(options, space, 99)]


def test_each_combination_comes_once_and_then_nothing():
    found = trials(GridOptions())
    assert len({tuple(each.items()) for each in found}) == len(found) == SIZE


@pytest.mark.parametrize(
    ("domain", "expected"),
    [
        ("loguniform(1e-4, 1)", [1e-4, 1e-3, 1e-2, 1e-1, 1]),
        ("uniform(0, 1)", [0, 0.25, 0.5, 0.75, 1]),
        ("one_minus_loguniform(0.9, 0.999)", [0.9, 1 - 10**-1.5, 0.99, 1 - 10**-2.5, 0.999]),
        ("normal(0, 1)", [-1.2815503, -0.5244002, 0, 0.5244002, 1.2815503]),
        ("integer(1, 101)", [1, 26, 51, 76, 101]),
        ("integer(2, 4)", [2, 3, 4]),
        ("uniform(0, 0.2, step=0.1)", [0, 0.1, 0.2]),
        ("choice([6, 5, 4, 3, 2, 1])", [6, 5, 4, 3, 2, 1]),
        ("uniform(3, 3)", [3]),
    ],
)
def test_a_range_has_five_values_evenly_on_its_own_scale(domain, expected):
    assert values(GridOptions(shuffle=False), domain) == pytest.approx(expected)


def test_a_range_can_have_another_number_of_values():
    found = trials(GridOptions(points=3, points_of={"rate": 2, "momentum": 1}))
    assert sorted({each["rate"] for each in found}) == pytest.approx([1e-4, 1])
    assert {each.get("momentum") for each in found} == {None, 0.5}
    assert len(found) == 2 * 3 * 2


def test_the_first_trials_cover_the_space_unless_the_order_is_its_own():
    covered = trials(GridOptions(), count=20)
    assert {each["layers"] for each in covered} == {1, 2, 3}
    assert len({each["rate"] for each in covered}) == 5
    in_order = trials(GridOptions(shuffle=False), count=18)
    assert len({each["rate"] for each in in_order}) == 1


def test_the_order_follows_from_the_seed():
    assert trials(GridOptions(), seed=1) == trials(GridOptions(), seed=1) != trials(GridOptions())


def test_trials_known_beforehand_take_nothing_from_the_grid_but_themselves():
    made = GridOptions().make(SPACE, 0, 9, "max")
    corner = {"rate": 1.0, "layers": 1, "optimizer": "adam"}
    made.tell(Observation("00000", {**corner, "rate": 0.5}))
    made.tell(Observation("00001", corner))
    found = []
    while (asked := made.ask(len(found) + 2)) is not None:
        found.append(complete(asked, SPACE, 0, len(found) + 2))
    assert len(found) == SIZE - 1
    assert corner not in found
    assert made.exhausted == f"all {SIZE} combinations tried"


def planned(options, num_samples=20):
    content = {"trial": "./a.py:f", "metric": "loss", "search_space": SPACE.to_document()}
    content["caviar"] = {"searcher": {"grid": options}, "num_samples": num_samples}
    return make_plan(parse_experiment(content), SPACE)


def test_a_grid_may_be_cut_off_by_the_number_of_trials():
    assert planned({}).most_trials == 20
    assert planned({}, 1000).most_trials == SIZE


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"points": 9},
            "caviar.searcher.grid.points: expected a grid of at most 200 combinations, 10 times",
        ),
        (
            {"points_of": {"rat": 3}},
            "caviar.searcher.grid.points_of.rat: expected a hyperparameter",
        ),
        ({"points_of": {"rat": 3}}, "Did you mean 'rate'?"),
        (
            {"points_of": {"optimizer": 3}},
            "points_of.optimizer: expected a range, since all values of choice",
        ),
        ({"points": 0}, "caviar.searcher.grid.points: expected a number of at least 1"),
    ],
)
def test_what_makes_no_grid_is_refused(options, said):
    with pytest.raises(ExperimentFileError) as caught:
        planned(options)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_it_passes_the_searchers_exam():
    check_searcher(lambda **about: GridOptions().make(**about), examples=5)
