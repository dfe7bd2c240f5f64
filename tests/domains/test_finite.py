from __future__ import annotations

import pytest

from orchestrator.domains import Choice, Fixed, InvalidDomain


def test_each_value_of_a_choice_is_equally_likely():
    domain = Choice(("sgd", "adam"))
    assert [domain.from_unit(u) for u in (0, 0.49, 0.5, 0.99)] == ["sgd", "sgd", "adam", "adam"]


@pytest.mark.parametrize("value", ["sgd", 1, True, None, 0.5])
def test_a_value_comes_back_from_its_share(value):
    domain = Choice(("sgd", 1, True, None, 0.5))
    assert domain.from_unit(domain.to_unit(value)) is value


def test_true_is_not_one():
    assert not Choice((1, 2)).contains(True)
    assert not Fixed(True).contains(1)


@pytest.mark.parametrize(
    ("values", "value", "edge"),
    [
        ((32, 64, 128), 32, "low"),
        ((128, 64, 32), 32, "low"),
        ((32, 64, 128), 128, "high"),
        ((32, 64, 128), 64, None),
        ((32, 64), 32, None),
        (("a", "b", "c"), "a", None),
        ((1, 2, "auto"), 1, None),
        ((32, 64, 128), 16, None),
    ],
)
def test_three_numbers_have_edges(values, value, edge):
    assert Choice(values).edge(value) == edge


@pytest.mark.parametrize("values", [(), (1, 1), ([1], [2]), (float("nan"),), (object(),)])
def test_empty_repeated_and_nested_choices_are_refused(values):
    with pytest.raises(InvalidDomain):
        Choice(values)
