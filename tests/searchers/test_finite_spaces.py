"""A finite space is drawn from without repeats; what is not finite is drawn from as ever."""

from __future__ import annotations

import random

import pytest

from orchestrator.domains import Space
from orchestrator.searchers import SEARCHERS, Observation, RandomOptions, complete
from orchestrator.testing import check_searcher

SMALL = Space.parse(
    {
        "optimizer": "choice([sgd, adam])",
        "momentum": {"when": {"optimizer": "sgd"}, "domain": "choice([0.5, 0.9, 0.99])"},
        "units": "choice([8, 16, 32])",
        "layers": "integer(1, 6)",
    }
)
COMBINATIONS = (3 + 1) * 3 * 6
CONTINUOUS = Space.parse({"rate": "loguniform(1e-4, 1)", "units": "choice([8, 16])"})
UNEVEN = Space.parse({"units": "log_integer(1, 512)"})


def searcher(space, seed=0):
    return RandomOptions().make(space, seed, 9, "max")


def trial(made, space, index, seed=0):
    asked = made.ask(index)
    return None if asked is None else complete(asked, space, seed, index)


def trials(space, count, seed=0):
    made = searcher(space, seed)
    return [trial(made, space, index, seed) for index in range(count)]


def told(index, hyperparameters):
    return Observation(f"{index:05d}", hyperparameters)


@pytest.mark.parametrize("seed", range(5))
def test_each_combination_comes_once_and_then_nothing(seed):
    found = trials(SMALL, COMBINATIONS + 2, seed)
    assert found[COMBINATIONS:] == [None, None]
    assert len({tuple(each.items()) for each in found[:COMBINATIONS]}) == COMBINATIONS


def test_it_says_that_all_were_tried_only_once_they_were():
    made = searcher(SMALL)
    made.ask(COMBINATIONS - 1)
    assert made.exhausted == ""
    assert made.ask(COMBINATIONS) is None
    assert made.exhausted == f"all {COMBINATIONS} combinations tried"


def test_a_trial_follows_from_space_seed_and_index_whatever_was_asked_before():
    expected = trials(SMALL, COMBINATIONS)
    order = list(range(COMBINATIONS))
    random.Random(0).shuffle(order)
    made = searcher(SMALL)
    assert {at: trial(made, SMALL, at) for at in order} == dict(enumerate(expected))
    assert [trial(searcher(SMALL), SMALL, at) for at in (50, 7)] == [expected[50], expected[7]]


def test_another_seed_is_another_order():
    assert trials(SMALL, 9, seed=1) != trials(SMALL, 9, seed=2)


def test_a_draw_that_repeats_none_is_the_space_s_own():
    found = trials(SMALL, COMBINATIONS)
    seen = []
    for index, each in enumerate(found):
        drawn = SMALL.draw(0, index)
        assert each == drawn or drawn in seen
        seen.append(each)
    assert any(each != SMALL.draw(0, index) for index, each in enumerate(found))


def test_a_space_that_is_not_finite_draws_what_it_always_drew():
    assert trials(CONTINUOUS, 50) == [CONTINUOUS.draw(0, index) for index in range(50)]


def test_likely_values_still_come_first():
    found = [each["units"] for each in trials(UNEVEN, 512)]
    assert sorted(found) == list(range(1, 513))
    assert sorted(found[:20])[10] < 64 < sorted(found[-200:])[100]


def test_a_space_of_many_combinations_is_drawn_from_at_once():
    wide = Space.parse({f"h{at}": "integer(1, 1000)" for at in range(5)})
    assert trials(wide, 3) == [wide.draw(0, index) for index in range(3)]
    assert RandomOptions().at_most(wide, 0) == 10**15


def test_what_trials_were_told_to_be_comes_no_more():
    points = [dict(SMALL.draw(9, index)) for index in range(3)]
    made = searcher(SMALL)
    for index, point in enumerate(points):
        made.tell(told(index, point))
    found = [trial(made, SMALL, index) for index in range(3, COMBINATIONS)]
    assert len({tuple(each.items()) for each in points + found}) == COMBINATIONS
    assert made.ask(COMBINATIONS) is None


def test_what_is_told_late_counts_as_if_it_had_been_told_at_once():
    point = SMALL.draw(9, 0)
    early, late = searcher(SMALL), searcher(SMALL)
    early.tell(told(0, point))
    late.ask(20)
    late.tell(told(0, point))
    assert [late.ask(at) for at in range(1, 60)] == [early.ask(at) for at in range(1, 60)]


def test_a_later_round_begins_anew():
    made = searcher(SMALL)
    made.begin_at(100)
    found = [trial(made, SMALL, index) for index in range(100, 100 + COMBINATIONS)]
    assert len({tuple(each.items()) for each in found}) == COMBINATIONS
    assert made.ask(100 + COMBINATIONS) is None


def test_it_passes_the_searchers_exam():
    check_searcher(lambda **about: RandomOptions().make(**about))


def test_combinations_that_break_a_constraint_are_never_tried_and_do_not_count():
    bound = SMALL.constrained(["units * layers <= 32"])
    found = trials(bound, COMBINATIONS)
    tried = [each for each in found if each is not None]
    fulfilling = 4 * (4 + 2 + 1)  # layers 1 to 4 with 8 units, 1 and 2 with 16, 1 with 32
    assert len({tuple(each.items()) for each in tried}) == len(tried) == fulfilling
    made = searcher(bound)
    made.ask(fulfilling)
    assert made.exhausted == f"all {fulfilling} combinations tried"


LEARNED = Space.parse(
    {
        "units": {"distribution": "choice", "values": [8, 16, 32], "prior": 16},
        "layers": "integer(1, 4)",
    }
)


def learned(name, first=0, told_first=()):
    made = SEARCHERS[name]().make(LEARNED, 0, 9, "max")
    made.begin_at(first)
    for index, values in told_first:
        made.tell(Observation(f"{index:05d}", values, 1, 0.5, "stopped"))
    found = []
    for index in range(first + len(told_first), first + 30):
        values = trial(made, LEARNED, index)
        if values is None:
            return made, found
        found.append(tuple(values.items()))
        made.tell(told(index, values))
        score = -abs(values["units"] - 16) - values["layers"]
        made.tell(Observation(f"{index:05d}", values, 1, float(score), "stopped"))
    return made, found


@pytest.mark.parametrize("name", ["tpe", "gp", "cqr", "priorband"])
def test_a_searcher_that_learns_tries_each_combination_once_and_ends(name):
    made, found = learned(name)
    assert len(found) == len(set(found)) == 12
    assert made.exhausted == "all 12 combinations tried"


def test_what_earlier_trials_were_is_proposed_no_more_by_one_that_learns():
    points = [(0, {"units": 16, "layers": 1}), (1, {"units": 8, "layers": 4})]
    _, found = learned("tpe", told_first=points)
    assert len(found) == 10
    assert not {tuple(values.items()) for _, values in points} & set(found)


def test_a_later_round_of_one_that_learns_has_all_combinations_of_its_own():
    assert len(learned("tpe", first=40)[1]) == 12


def test_a_space_of_one_value_is_one_trial():
    only = Space.parse({"units": 16})
    made = searcher(only)
    assert [made.ask(0), made.ask(1)] == [{}, None]
    assert made.exhausted == "the only combination was tried"
