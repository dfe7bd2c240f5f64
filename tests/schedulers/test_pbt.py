"""Population based training: all wait for all, the worst make room, and who is copied follows from values alone."""

from __future__ import annotations

import math

import pytest

from orchestrator.schedulers import PbtOptions

NAMES = [f"{index:05d}" for index in range(40)]


def population(size, epochs=9, mode="max", **options):
    made = PbtOptions(**{"interval": 3} | options).make(epochs, mode)
    made.populate(size, NAMES.__getitem__)
    return made


def come(made, values, epoch=3):
    """All of them come to an epoch; returns what was decided of each."""
    return {trial: made.report(trial, epoch, value) for trial, value in values.items()}


def test_nobody_goes_on_before_the_last_has_come():
    made = population(4)
    decisions = come(made, {"00000": 0.1, "00001": 0.2, "00002": 0.3})
    assert all(decision.pause for decision in decisions.values())
    assert made.promote() == [] and made.copies == [] and made.drop() == {}
    come(made, {"00003": 0.4})
    assert made.promote() == ["00003", "00002", "00001"]
    assert {trial: d.cutoff for trial, d in made.drop().items()} == {"00000": 0.2}


def test_a_copy_of_one_of_the_best_takes_the_place_of_each_of_the_worst():
    made = population(8)
    come(made, {NAMES[index]: index for index in range(8)})
    assert [(copy.trial, copy.index, copy.epoch) for copy in made.copies] == [
        ("00008", 8, 3),
        ("00009", 9, 3),
    ]
    assert {copy.donors for copy in made.copies} == {("00007", "00006")}


@pytest.mark.parametrize("order", [[3, 1, 2, 0], [0, 1, 2, 3], [2, 3, 0, 1]])
def test_who_came_first_changes_nothing(order):
    made = population(4)
    for index in order:
        made.report(NAMES[index], 3, index / 10)
    assert made.copies[0].donors == ("00003",) and list(made.drop()) == ["00000"]


def test_the_next_comparison_waits_for_the_copies_too():
    made = population(4)
    come(made, {NAMES[index]: index for index in range(4)})
    come(made, {"00001": 1, "00002": 2, "00003": 3}, epoch=6)
    assert made.promote() == []
    come(made, {"00004": 9}, epoch=6)
    assert made.promote() == ["00004", "00003", "00002"]
    assert made.copies[1].donors == ("00004",)


def test_a_member_that_ends_before_is_waited_for_no_more_and_replaced():
    made = population(4, replaced=0.25)
    made.ended("00002")
    come(made, {"00000": 0.1, "00001": 0.2, "00003": 0.4})
    assert made.drop() == {}, "a quarter of three is none"
    assert [copy.donors for copy in made.copies] == [("00003",)]


def test_whoever_is_no_number_is_replaced_however_many_they_are():
    made = population(4)
    come(made, {"00000": math.nan, "00001": math.inf, "00002": None, "00003": 0.1})
    assert sorted(made.drop()) == ["00000", "00001", "00002"]
    assert {copy.donors for copy in made.copies} == {("00003",)}


def test_one_that_is_left_alone_goes_on():
    made = population(2)
    made.ended("00000")
    come(made, {"00001": math.nan})
    assert made.promote() == ["00001"] and made.drop() == {}


def test_where_less_is_better_the_largest_are_replaced():
    made = population(4, mode="min")
    come(made, {NAMES[index]: index for index in range(4)})
    assert list(made.drop()) == ["00003"] and made.copies[0].donors == ("00000",)


def test_told_again_it_decides_the_same():
    rows = [(NAMES[index], epoch, index * epoch) for epoch in (1, 2, 3) for index in range(4)]
    rows += [(name, epoch, 5.0) for epoch in (4, 5, 6) for name in NAMES[1:5]]
    first, again = population(4), population(4)
    for made in (first, again):
        for row in rows:
            made.report(*row)
    assert first.copies == again.copies and first.promote() == again.promote()
    assert len(first.copies) == 2


@pytest.mark.parametrize(
    ("epochs", "milestones"), [(20, tuple(range(2, 20, 2))), (5, (1, 2, 3, 4)), (2, (1,))]
)
def test_by_itself_it_compares_ten_times(epochs, milestones):
    assert PbtOptions().make(epochs, "max").milestones == milestones


def test_what_it_trains_is_known_beforehand():
    assert PbtOptions().forecast(8, 10).epochs_expected == 80
