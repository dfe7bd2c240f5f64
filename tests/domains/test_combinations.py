from __future__ import annotations

import itertools
import random

import pytest

from orchestrator.domains import Combinations, Shuffle, Space


def space(**domains):
    return Space.parse(domains)


def by_brute_force(searched):
    """Every combination, by going through all values of all hyperparameters."""
    values = [
        list(map(domain.at, range(domain.size)))
        if hasattr(domain, "size")
        else [domain.value]
        if hasattr(domain, "value")
        else domain.values
        for domain in searched.domains.values()
    ]
    drawn = (dict(zip(searched.names, each, strict=True)) for each in itertools.product(*values))
    return {tuple(searched.draw(0, 0, each).items()) for each in drawn}


SPACES = {
    "a product": space(units="choice([8, 16, 32])", layers="integer(1, 4)", rate=0.1),
    "a stepped range": space(dropout="uniform(0, 0.5, step=0.1)", a="log_integer(1, 9)"),
    "a condition": space(
        optimizer="choice([sgd, adam])",
        momentum={"when": {"optimizer": "sgd"}, "domain": "choice([0.5, 0.9, 0.99])"},
        units="choice([8, 16])",
    ),
    "a condition on a condition": space(
        a="integer(1, 5)",
        b={"when": {"a": [2, 4]}, "domain": "choice([x, y])"},
        c={"when": {"b": "x"}, "domain": "integer(1, 3)"},
        d="choice([true, false])",
    ),
    "two conditions at once": space(
        a="choice([1, 2, 3])",
        b="choice([x, y])",
        c={"when": {"a": [1, 2], "b": "y"}, "domain": "integer(1, 7)"},
        e={"when": {"c": 7}, "domain": "choice([p, q])"},
    ),
    "a child of absent parents": space(
        a="choice([1, 2])",
        b={"when": {"a": 1}, "domain": "choice([x, y])"},
        c={"when": {"a": 2}, "domain": "choice([x, y])"},
        d={"when": {"b": "x", "c": "x"}, "domain": "integer(1, 9)"},
    ),
}


@pytest.mark.parametrize("searched", SPACES.values(), ids=SPACES)
def test_they_are_each_distinct_combination_once(searched):
    found = Combinations.of(searched)
    each = [tuple(found.at(rank).items()) for rank in range(found.count)]
    assert len(set(each)) == len(each)
    assert set(each) == by_brute_force(searched)


@pytest.mark.parametrize("seed", range(20))
def test_random_trees_of_conditions_are_counted_right(seed):
    draw = random.Random(seed)
    domains = {}
    for name in "abcdef":
        domains[name] = {"domain": f"integer(1, {draw.randint(1, 3)})"}
        parents = draw.sample(
            sorted(domains.keys() - {name}), min(len(domains) - 1, draw.randint(0, 2))
        )
        if parents:
            domains[name]["when"] = {parent: 1 for parent in parents}
    searched = Space.parse(domains)
    assert Combinations.of(searched).count == len(by_brute_force(searched))


def test_a_space_with_a_range_is_not_finite():
    assert Combinations.of(space(rate="loguniform(1e-4, 1)", units="choice([8, 16])")) is None


def test_a_range_of_one_value_is_finite():
    assert (
        Combinations.of(space(beta="one_minus_loguniform(0.9, 0.9)", units="integer(1, 3)")).count
        == 3
    )


def test_many_combinations_are_counted_and_found_without_being_written_out():
    found = Combinations.of(space(**{f"h{at}": "integer(1, 1000)" for at in range(20)}))
    assert found.count == 10**60
    assert set(found.at(10**60 - 1).values()) == {1000}


def test_a_large_range_on_which_others_depend_is_counted_by_the_values_that_matter():
    found = Combinations.of(
        space(a="integer(1, 1000000000)", b={"when": {"a": 7}, "domain": "integer(1, 5)"})
    )
    assert found.count == 10**9 + 4
    assert {found.at(rank).get("b") for rank in range(5)} == {1, 2, 3, 4, 5}
    assert 7 not in {found.at(rank)["a"] for rank in range(5, 20)}


def test_conditions_too_entangled_to_be_counted_make_no_combinations():
    domains = {f"p{at}": "choice([1, 2, 3])" for at in range(16)}
    for a, b in itertools.combinations(range(16), 2):
        domains[f"c{a}x{b}"] = {"when": {f"p{a}": 1, f"p{b}": 2}, "domain": "integer(1, 2)"}
    assert Combinations.of(Space.parse(domains)) is None


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 1000])
def test_a_shuffle_gives_each_number_once(count):
    shuffle = Shuffle(count, seed=3)
    assert sorted(shuffle.at(index) for index in range(count)) == list(range(count))


def test_a_shuffle_follows_from_its_seed_and_is_no_order():
    assert [Shuffle(1000, 1).at(at) for at in range(9)] == [
        Shuffle(1000, 1).at(at) for at in range(9)
    ]
    assert [Shuffle(1000, 1).at(at) for at in range(9)] != [
        Shuffle(1000, 2).at(at) for at in range(9)
    ]
    assert 0 <= Shuffle(10**40, 0).at(10**39) < 10**40
