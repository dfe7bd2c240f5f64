"""The effective step of SGD: a band of it in place of a box where it explains the ranking better than its parts."""

from __future__ import annotations

import math

import pytest

from orchestrator.domains import Space
from orchestrator.search.evidence import Rule, Seen, ranked
from orchestrator.search.narrowing import derive

SPACE = Space.parse(
    {
        "learning_rate": "loguniform(1e-4, 1)",
        "momentum": "one_minus_loguniform(0.9, 0.999)",
        "batch_size": "choice([32, 64, 128, 256])",
    }
)


def step(drawn, batch=False):
    found = math.log10(drawn["learning_rate"] / drawn["one_minus_momentum"])
    return found - math.log10(drawn["batch_size"]) if batch else found


def seen(space, value, count=60):
    drawn = [space.draw(3, index) for index in range(count)]
    return [Seen(index, each, {1: value(each)}) for index, each in enumerate(drawn)]


def texts(found):
    return [each.text for each in found.space.constraints]


def test_the_draws_are_held_along_the_step_where_that_explains_the_ranking():
    found = derive(SPACE, SPACE, seen(SPACE, lambda drawn: -abs(step(drawn))), "max")
    low, high = texts(found)
    assert low.startswith("learning_rate / one_minus_momentum >= ") and " <= " in high
    band = next(each for each in found.findings if "/" in each.hyperparameter)
    assert "% of the ranking, the best of its parts" in band.why
    drawn = [found.space.draw(1, index) for index in range(100)]
    width = float(high.split()[-1]) / float(low.split()[-1])
    assert all(
        float(low.split()[-1]) <= 10 ** step(each) <= float(high.split()[-1]) for each in drawn
    )
    assert math.log10(width) == pytest.approx(3, abs=0.01)  # half of the six decades of the space


def test_its_parts_are_not_narrowed_then():
    found = derive(SPACE, SPACE, seen(SPACE, lambda drawn: -abs(step(drawn))), "max")
    for name in ("learning_rate", "momentum"):
        assert found.space.domains[name] == SPACE.domains[name]


def test_the_batch_size_is_part_of_it_where_that_explains_more():
    found = derive(SPACE, SPACE, seen(SPACE, lambda drawn: -abs(step(drawn, True) + 2)), "max")
    assert texts(found)[0].startswith("learning_rate / (one_minus_momentum * batch_size) >= ")


def test_a_part_that_explains_as_much_is_narrowed_by_itself():
    by_rate = seen(SPACE, lambda drawn: -abs(math.log10(drawn["learning_rate"]) + 2))
    found = derive(SPACE, SPACE, by_rate, "max")
    assert not texts(found) and found.space.domains["learning_rate"].max < 1


@pytest.mark.parametrize("optimizer", ["adam", "choice([sgd, adam])"])
def test_it_does_not_hold_for_adam(optimizer):
    space = Space.parse({**SPACE.to_document(), "optimizer": optimizer})
    assert not texts(derive(space, space, seen(space, lambda drawn: -abs(step(drawn))), "max"))


def test_a_band_stays_in_the_next_round_and_becomes_narrower():
    first = derive(SPACE, SPACE, seen(SPACE, lambda drawn: -abs(step(drawn))), "max").space
    later = derive(SPACE, first, seen(SPACE, lambda drawn: -abs(step(drawn)), 120), "max")
    ends = [float(text.split()[-1]) for text in texts(later)]
    assert math.log10(ends[1] / ends[0]) < 2.9


def test_a_band_that_explains_nothing_more_stays_until_a_trial_outside_is_among_the_best():
    first = derive(SPACE, SPACE, seen(SPACE, lambda drawn: -abs(step(drawn))), "max").space
    flat = [Seen(i, first.draw(5, i), {1: float(i % 7)}) for i in range(60)]
    assert texts(derive(SPACE, first, flat, "max")) == texts(type("Held", (), {"space": first}))
    outside = {
        "learning_rate": 1.0,
        "momentum": 0.999,
        "one_minus_momentum": 0.001,
        "batch_size": 32,
    }
    reopened = derive(SPACE, first, [*flat, Seen(60, outside, {1: 99.0})], "max")
    assert not texts(reopened)


def test_constraints_of_the_experiment_stay():
    space = Space.parse(SPACE.to_document(), "space", ["learning_rate < 0.5"])
    found = derive(space, space, seen(space, lambda drawn: -abs(step(drawn))), "max")
    assert texts(found)[0] == "learning_rate < 0.5" and len(texts(found)) == 3


def test_trials_that_were_stopped_before_the_rung_rank_below_it():
    trials = [Seen(i, {}, {1: float(i)}) for i in range(8)]
    trials += [Seen(i, {}, {1: 0.5, 3: float(-i)}) for i in range(8, 16)]
    found = ranked(trials, "max", Rule())
    assert found.epoch == 3
    assert max(found.ranks[:8]) < min(found.ranks[8:])
