"""The rule from coarse to fine, clause by clause: what is narrowed, widened, reopened or left, and that it says why."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.domains import Space
from orchestrator.search.evidence import Rule, Seen, hull_chance, ranked
from orchestrator.search.narrowing import derive

SPACE = Space.parse({"learning_rate": "loguniform(1e-4, 1)"})


def seen(space, count, value, seed=0, epochs=1, index=0):
    """Trials drawn from a space, of which ``value`` is a function of the hyperparameters."""
    trials = []
    for number in range(index, index + count):
        drawn = space.draw(seed, number)
        trials.append(Seen(number, drawn, dict.fromkeys(range(1, epochs + 1), value(drawn))))
    return trials


def near(rate, name="learning_rate"):
    return lambda drawn: -abs(math.log10(drawn[name] / rate))


def derived(space, trials, rule=None, original=None):
    return derive(original or space, space, trials, "max", rule)


def finding(found, name="learning_rate"):
    return next(each for each in found.findings if each.hyperparameter == name)


def test_a_range_is_narrowed_to_the_hull_of_the_best_and_a_tenth_of_the_original_on_each_side():
    trials = seen(SPACE, 60, near(1e-2))
    best = sorted(trials, key=lambda each: -each.values[1])[: math.ceil(0.15 * 60)]
    places = [math.log10(each.hyperparameters["learning_rate"]) for each in best]
    domain = derived(SPACE, trials, Rule(least=0.01)).space.domains["learning_rate"]
    assert math.log10(domain.min) == pytest.approx(min(places) - 0.4, abs=0.01)
    assert math.log10(domain.max) == pytest.approx(max(places) + 0.4, abs=0.01)


def test_the_margin_is_a_share_of_the_original_range_in_later_rounds_too():
    now = Space.parse({"learning_rate": "loguniform(1e-3, 1e-1)"})
    trials = seen(now, 60, near(1e-2))
    best = sorted(trials, key=lambda each: -each.values[1])[: math.ceil(0.15 * 60)]
    low = min(math.log10(each.hyperparameters["learning_rate"]) for each in best)
    domain = derived(now, trials, Rule(least=0.01), SPACE).space.domains["learning_rate"]
    assert math.log10(domain.min) == pytest.approx(low - 0.4, abs=0.01)


def test_no_range_becomes_less_than_half_of_itself_in_a_round():
    now = Space.parse({"learning_rate": "loguniform(1e-3, 1e-1)"})
    for space in (SPACE, now):
        trials = seen(space, 200, near(1e-2))
        before = space.domains["learning_rate"]
        domain = derived(space, trials, Rule(margin=0.0)).space.domains["learning_rate"]
        assert domain.max / domain.min == pytest.approx(
            math.sqrt(before.max / before.min), rel=0.02
        )


def test_a_range_in_which_the_best_lie_as_spread_as_any_stays():
    noise = np.random.default_rng(1).random(60)
    trials = seen(SPACE, 60, lambda drawn: 0.0)
    for each, value in zip(trials, noise, strict=True):
        each.values[1] = float(value)
    found = derived(SPACE, trials)
    assert found.space == SPACE and finding(found).move == "kept"
    assert "as spread as any 9 of them" in finding(found).why


@pytest.mark.parametrize(("best", "n"), [([0, 1, 2], 6), ([0, 1, 4], 6), ([2, 3, 4, 5], 9)])
def test_the_chance_of_a_hull_is_that_of_all_subsets(best, n):
    from itertools import combinations

    subsets = list(combinations(range(n), len(best)))
    expected = sum(max(s) - min(s) <= max(best) - min(best) for s in subsets) / len(subsets)
    assert hull_chance(best, list(range(n))) == pytest.approx(expected)


def test_equal_values_make_a_hull_wider():
    assert hull_chance([1, 1, 1], [1] * 8 + [2]) == pytest.approx(
        sum((9 - s) * (s - 1) for s in range(2, 8)) / math.comb(9, 3)
    )


@pytest.mark.parametrize(("rate", "end"), [(1e-5, "min"), (1e-1, "max")])
def test_a_side_at_which_the_best_sit_is_widened_by_a_decade(rate, end):
    space = Space.parse({"learning_rate": "loguniform(1e-4, 1e-2)"})
    found = derived(space, seen(space, 60, near(rate)))
    domain = found.space.domains["learning_rate"]
    assert getattr(domain, end) == pytest.approx({"min": 1e-5, "max": 1e-1}[end])
    assert finding(found).move == "moved" and "sit at the" in finding(found).why


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("loguniform(1e-4, 1e-2, hard=true)", Rule()),
        ("loguniform(1e-4, 1e-2, hard=max)", Rule()),
        ("loguniform(1e-4, 1e-2)", Rule(hard=True)),
        ("loguniform(1e-4, 1e-2)", Rule(hard=frozenset({"learning_rate"}))),
    ],
)
def test_a_hard_end_is_not_widened(written, rule):
    space = Space.parse({"learning_rate": written})
    found = derived(space, seen(space, 60, near(1e-1)), rule)
    assert found.space.domains["learning_rate"].max == 1e-2
    assert "which is hard" in finding(found).why


def test_the_other_end_of_a_range_with_one_hard_end_is_widened():
    space = Space.parse({"learning_rate": "loguniform(1e-4, 1e-2, hard=max)"})
    found = derived(space, seen(space, 60, near(1e-5)))
    assert found.space.domains["learning_rate"].min == pytest.approx(1e-5)
    assert found.space.domains["learning_rate"].hard == "max"


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [
        ("uniform(0, 0.5)", 0, 0.625),
        ("uniform(0.1, 0.9)", 0, 0.95),
        ("uniform(0, 1)", 0, 1),
        ("uniform(-2, 2)", -3, 3),
        ("loguniform(0.1, 0.5)", 0.01, 0.75),
        ("one_minus_loguniform(0.9, 0.99)", 0, 0.999),
        ("one_minus_loguniform(0.5, 0.999999)", 0, 0.999999),
        ("integer(1, 30)", 1, 30),
        ("log_integer(2, 256)", 2, 256),
    ],
)
def test_widening_never_leaves_what_is_possible(written, low, high):
    space = Space.parse({"x": written})
    for sign, end in ((-1, "min"), (1, "max")):
        found = derived(space, seen(space, 60, lambda drawn, s=sign: s * drawn["x"]))
        domain = found.space.domains["x"]
        expected = low if end == "min" else high
        assert getattr(domain, end) == pytest.approx(expected, rel=0.01), written


def test_a_side_of_a_narrowed_range_moves_back_by_half_a_range_within_the_space():
    now = Space.parse({"learning_rate": "loguniform(1e-2, 1)"})
    found = derived(now, seen(now, 60, near(1e-3)), original=SPACE)
    assert found.space.domains["learning_rate"].min == pytest.approx(1e-3, rel=0.01)


def test_a_range_widened_once_stays_within_a_decade_of_the_space():
    now = Space.parse({"learning_rate": "loguniform(1e-5, 1)"})
    found = derived(now, seen(now, 60, near(1e-6)), original=SPACE)
    assert found.space.domains["learning_rate"].min == 1e-5
    assert "beyond the space already" in finding(found).why


def test_a_trial_from_the_whole_space_among_the_best_reopens_the_range():
    now = Space.parse({"learning_rate": "loguniform(1e-2, 1)"})
    trials = seen(now, 40, near(1e-1))
    trials.append(Seen(40, {"learning_rate": 1e-3}, {1: 1.0}))
    found = derived(now, trials, original=SPACE)
    assert finding(found).move == "reopened" and "1 of the best 7" in finding(found).why
    assert found.space.domains["learning_rate"].min == pytest.approx(10**-3.4, rel=0.01)


def test_a_trial_from_the_whole_space_that_is_none_of_the_best_reopens_nothing():
    now = Space.parse({"learning_rate": "loguniform(1e-2, 1)"})
    trials = seen(now, 40, near(1e-1))
    trials.append(Seen(40, {"learning_rate": 1e-3}, {1: -9.0}))
    assert derived(now, trials, original=SPACE).space.domains["learning_rate"].min >= 1e-2


def test_trials_are_compared_at_the_last_epoch_that_twice_as_many_as_the_best_reached():
    trials = seen(SPACE, 20, near(1e-2))
    for place, each in enumerate(trials):
        each.values = {1: float(-place), **({3: float(place)} if place < 6 else {})}
        each.values |= {9: 99.0} if place < 5 else {}
    found = ranked(trials, "max", Rule())
    assert (found.epoch, [each.index for each in found.best]) == (3, [5, 4, 3])


def test_in_mode_min_the_least_are_the_best():
    trials = [Seen(i, {}, {1: float(i)}) for i in range(10)]
    assert [each.index for each in ranked(trials, "min", Rule()).best] == [0, 1, 2]


def test_diverged_trials_count_as_bad_and_failed_ones_not_at_all():
    trials = seen(SPACE, 20, near(1e-2))
    diverged = Seen(20, {"learning_rate": 1.0}, {1: math.nan}, "diverged")
    at_once = Seen(21, {"learning_rate": 1.0}, {}, "diverged")
    failed = Seen(22, {"learning_rate": 1.0}, {}, "failed")
    found = ranked([*trials, diverged, at_once, failed], "max", Rule())
    assert [each.index for each in found.judged] == list(range(22))
    assert not {20, 21} & {each.index for each in found.best}


def test_too_few_trials_move_nothing():
    found = derived(SPACE, seen(SPACE, 5, near(1e-2)))
    assert found.space == SPACE and finding(found).why == "too few trials to compare"


def test_a_value_is_dropped_that_the_best_avoid():
    space = Space.parse({"units": "choice([16, 32, 64, 128])"})
    found = derived(space, seen(space, 160, lambda drawn: drawn["units"] > 16))
    assert found.space.domains["units"].values == (32, 64, 128)
    assert "none of the best 24 of 160 has 16" in finding(found, "units").why


def test_a_value_stays_that_the_best_lack_by_chance():
    space = Space.parse({"units": "choice([16, 32, 64, 128])"})
    found = derived(space, seen(space, 16, lambda drawn: drawn["units"] > 16))
    assert found.space == space


def test_half_of_a_choice_stays_at_least():
    space = Space.parse({"units": "choice([16, 32, 64, 128])"})
    found = derived(space, seen(space, 200, lambda drawn: drawn["units"] == 16))
    assert len(found.space.domains["units"].values) == 2
    assert 16 in found.space.domains["units"].values


def test_a_dropped_value_comes_back_with_a_trial_among_the_best():
    original = Space.parse({"units": "choice([16, 32, 64, 128])"})
    now = Space.parse({"units": "choice([64, 128])"})
    trials = [*seen(now, 30, lambda drawn: 0.0), Seen(30, {"units": 32}, {1: 1.0})]
    found = derived(now, trials, original=original)
    assert found.space.domains["units"].values == (32, 64, 128)
    assert finding(found, "units").move == "reopened"


@pytest.mark.parametrize(
    "written", ["choice([sgd, adam])", "integer(1, 2)", "0.5", "uniform(0, 1, step=1)"]
)
def test_what_has_few_values_is_left_alone(written):
    space = Space.parse({"x": written})
    best = space.draw(0, 0)["x"]
    assert derived(space, seen(space, 80, lambda drawn: drawn["x"] == best)).space == space


def test_a_choice_on_which_another_depends_is_left_alone():
    space = Space.parse(
        {
            "optimizer": "choice([sgd, adam, adamw, rmsprop])",
            "beta_1": {"when": {"optimizer": ["adam"]}, "domain": "uniform(0.5, 0.9)"},
        }
    )
    found = derived(space, seen(space, 80, lambda drawn: drawn["optimizer"] == "sgd"))
    assert found.space.domains["optimizer"] == space.domains["optimizer"]


def test_a_range_that_few_of_the_best_have_is_left_alone():
    space = Space.parse(
        {
            "optimizer": "choice([sgd, adam])",
            "beta_1": {"when": {"optimizer": ["adam"]}, "domain": "uniform(0.5, 0.9)"},
        }
    )
    found = derived(space, seen(space, 40, lambda drawn: drawn["optimizer"] == "sgd"))
    assert "of the best trials have it" in finding(found, "beta_1").why


def test_whole_numbers_and_steps_keep_their_grid():
    space = Space.parse({"units": "integer(16, 256, step=16)", "share": "uniform(0, 1, step=0.05)"})
    value = lambda drawn: -abs(drawn["units"] - 96) / 100 - abs(drawn["share"] - 0.5)  # noqa: E731
    found = derived(space, seen(space, 200, value)).space.domains
    assert (found["units"].min - 16) % 16 == 0 and found["units"].max % 16 == 0
    assert found["share"].min * 20 == pytest.approx(round(found["share"].min * 20))
    assert found["units"].max < 256 and found["share"].min > 0


def test_an_end_is_written_with_three_digits_and_a_prior_outside_is_dropped():
    space = Space.parse({"learning_rate": "loguniform(1e-4, 1, prior=0.9, confidence=high)"})
    domain = derived(space, seen(space, 60, near(1e-3))).space.domains["learning_rate"]
    assert domain.prior is None and domain.max == float(f"{domain.max:.3g}")
    assert Space.parse({"x": str(domain)}).domains["x"].max == domain.max


def test_the_order_of_trials_does_not_matter():
    trials = seen(SPACE, 40, near(1e-2))
    assert derived(SPACE, trials) == derived(SPACE, trials[::-1])
