"""What was told to a searcher that learns: which trial counts as better than which."""

from __future__ import annotations

import math
import random

import pytest

from orchestrator.searchers import Observation
from orchestrator.searchers.told import Told


def told(*stories, mode="max", enough=2):
    """Return what came of (trial, values by epoch, ending)."""
    made = Told(mode, enough)
    for trial, values, ending in stories:
        made.tell(Observation(trial, {}))
        for epoch, value in enumerate(values, 1):
            made.tell(Observation(trial, {}, epoch, value))
        if ending:
            made.tell(Observation(trial, {}, len(values), values[-1] if values else None, ending))
    return made


def order(made):
    evidence = made.evidence(99, 99)
    ranks = dict(zip((each.trial for each in evidence.trials), evidence.ranks, strict=True))
    return sorted(ranks, key=ranks.get)


@pytest.mark.parametrize(("mode", "expected"), [("max", ["b", "a"]), ("min", ["a", "b"])])
def test_the_better_value_comes_first(mode, expected):
    assert order(told(("a", [0.1], None), ("b", [0.2], None), mode=mode)) == expected


def test_trials_are_compared_at_the_highest_epoch_that_enough_have_reached():
    made = told(("a", [0.1, 0.5, 0.0], "finished"), ("b", [0.2, 0.4], None), ("c", [0.3], None))
    assert made.level == 2
    assert order(made) == ["a", "b", "c"]


def test_one_that_was_stopped_early_stands_behind_those_that_went_on():
    made = told(("a", [0.1, 0.2], "finished"), ("b", [0.1, 0.3], "finished"), ("c", [0.9], "stopped"))  # fmt: skip
    assert order(made) == ["b", "a", "c"]


@pytest.mark.parametrize(
    "bad",
    [([0.9], "diverged"), ([0.9], "failed"), ([], "failed"), ([math.nan], None), ([math.inf], None)],
)  # fmt: skip
def test_bad_ones_are_worse_than_the_worst(bad):
    made = told(("bad", *bad), ("poor", [0.0], "stopped"), ("good", [0.5], "finished"))
    assert order(made) == ["good", "poor", "bad"]
    assert [each.trial for each in made.best(9)] == ["good", "poor"]


def test_one_without_a_value_is_pending_while_it_goes_on_and_nothing_where_it_was_cut_off():
    made = told(("a", [0.1], None), ("b", [], None), ("c", [], "interrupted"), ("d", [None], None))
    assert [each.trial for each in made.evidence(9, 9).pending] == ["b", "d"]
    assert made.known == 1


def test_one_that_failed_and_is_begun_again_counts_by_its_values():
    made = told(("a", [0.3], "failed"), ("b", [0.2], None))
    assert order(made) == ["b", "a"]
    made.tell(Observation("a", {}, 1, 0.3))
    assert order(made) == ["a", "b"]


def test_neither_order_nor_repetition_matters():
    draw = random.Random(0)
    stories = [
        (f"{index:05d}", [draw.random() for _ in range(draw.randint(0, 9))], draw.choice([None, "stopped", "failed"]))
        for index in range(40)
    ]  # fmt: skip
    shuffled = draw.sample(stories, len(stories))
    one, other = told(*stories), told(*shuffled, *shuffled)
    assert order(one) == order(other)
    assert one.level == other.level == max(
        epoch for epoch in range(1, 10) if sum(len(values) >= epoch for _, values, _ in stories) >= 2
    )  # fmt: skip


def test_a_model_sees_the_best_and_the_newest_in_the_order_of_drawing():
    made = told(*((f"{index:05d}", [float(index in (3, 20))], None) for index in range(30)))
    seen = [int(each.trial) for each in made.evidence(2, 3).trials]
    assert seen == [3, 20, 27, 28, 29]
