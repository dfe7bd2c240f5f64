from __future__ import annotations

import math

import pytest

STEADY = [2.3, 1.2, 0.8, 0.6, 0.5, 0.45, 0.42, 0.4]


def seen(sitter, losses, learning_rate=0.1):
    return [sitter.after_epoch({"loss": loss}, learning_rate) for loss in losses]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf, "NaN"])
def test_a_loss_that_is_not_finite_goes_back_to_the_last_good_day_with_half_the_rate(
    sitter, day, loss
):
    watching = sitter()
    seen(watching, STEADY)
    watching.after_day(day(1, 0.8, 0.4))
    [finding] = watching.after_epoch({"loss": loss}, 0.1)
    assert (finding.action, finding.to, finding.to_day) == ("rollback", "last_good_day", 1)
    assert finding.changes == {"learning_rate": 0.05}
    assert finding.evidence["not_finite"] == ["loss"]


def test_a_rate_that_was_raised_since_the_last_good_day_goes_back_to_what_it_was(sitter, day):
    watching = sitter()
    watching.after_day(day(0, 0.1, 2.3))
    seen(watching, STEADY)
    watching.after_day(day(1, 0.8, 0.4))
    [finding] = watching.after_epoch({"loss": 900.0}, 3.0)
    assert (finding.to_day, finding.changes) == (1, {"learning_rate": 0.1})
    assert finding.text.endswith("back to day 1 with its learning rate 0.1, not 3.")


def test_a_rate_that_was_raised_by_less_than_the_factor_takes_back_is_multiplied_by_it(sitter, day):
    watching = sitter()
    watching.after_day(day(0, 0.1, 2.3))
    seen(watching, STEADY)
    watching.after_day(day(1, 0.8, 0.4))
    [finding] = watching.after_epoch({"loss": 900.0}, 0.15)
    assert finding.changes == {"learning_rate": 0.075}


def test_a_broken_validation_loss_is_a_divergence_too(sitter):
    [finding] = sitter().after_epoch({"loss": 0.4, "val_loss": math.nan}, 0.1)
    assert finding.evidence["not_finite"] == ["val_loss"]


def test_before_the_first_day_ends_the_last_good_day_is_the_untrained_model(sitter):
    [finding] = sitter().after_epoch({"loss": math.nan}, 8.0)
    assert (finding.to_day, finding.changes) == (0, {"learning_rate": 4.0})


def test_a_loss_that_falls_is_none(sitter):
    assert seen(sitter(), STEADY) == [[]] * len(STEADY)


def test_a_steady_loss_may_rise_to_its_factor_and_no_further(sitter):
    flat = [1.0] * 8
    assert seen(sitter(), [*flat, 2.0])[-1] == []
    [finding] = seen(sitter(), [*flat, 2.01])[-1]
    assert finding.evidence["limit"] == pytest.approx(2.0)
    assert finding.evidence["sigma"] == 0.0


def test_a_noisy_loss_may_rise_further(sitter):
    noisy = [1.0, 3.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0]
    calm = sitter(divergence={"loss_factor": 5.0})
    assert seen(calm, noisy) == [[]] * 8
    [finding] = seen(calm, [7.0])[-1]
    assert 1.0 < finding.evidence["sigma"] < 1.2


def test_near_zero_twice_the_best_is_still_next_to_nothing(sitter):
    assert seen(sitter(), [2.3, 0.1, 0.01, *[0.001] * 8, 0.01])[-1] == []
    eager = sitter(divergence={"smallest_rise": 0.0})
    assert seen(eager, [2.3, 0.1, 0.01, *[0.001] * 8, 0.01])[-1] != []


def test_the_untrained_model_s_loss_shows_a_divergence_in_the_first_epoch(sitter, day):
    watching = sitter()
    watching.after_day(day(0, 0.1, loss=2.3))
    [finding] = watching.after_epoch({"loss": 9.0}, 1.0)
    assert (finding.action, finding.to_day) == ("rollback", 0)


def test_three_rollbacks_and_then_a_verdict(sitter, day):
    watching = sitter()
    seen(watching, STEADY)
    watching.after_day(day(1, 0.8, 0.4))
    kept, rate, done = watching.memory, 0.1, []
    for _ in range(4):
        [finding] = watching.after_epoch({"loss": math.nan}, rate)
        done.append(finding.action)
        rate = finding.changes.get("learning_rate", rate)
        watching.return_to(kept)
    assert done == ["rollback", "rollback", "rollback", "stop"]
    assert rate == pytest.approx(0.1 / 8)
    assert "after 3 rollbacks" in finding.verdict
    assert (finding.to, finding.to_day) == ("best", 1)


def test_advice_is_given_once_until_the_loss_recovers(sitter):
    watching = sitter("advise")
    said = seen(watching, [1.0, 5.0, 6.0, 1.0, 5.0])
    assert [len(each) for each in said] == [0, 1, 0, 0, 1]
    assert watching.memory["rollbacks"] == 0


def test_off_says_nothing(sitter):
    assert seen(sitter("off"), [1.0, math.nan, 5.0]) == [[], [], []]


def test_a_change_of_what_the_loss_measures_is_no_divergence(sitter):
    for names, found in [({"label_smoothing"}, 0), ({"learning_rate"}, 1)]:
        watching = sitter()
        seen(watching, STEADY)
        watching.changed(names)
        assert len(watching.after_epoch({"loss": 1.9}, 0.1)) == found


def test_a_day_that_diverges_again_at_once_is_no_good_day(sitter, day):
    watching = sitter()
    kept = []
    for number in (1, 2):
        seen(watching, [0.4, 0.4])
        watching.after_day(day(number, 0.8, 0.4))
        kept.append(watching.memory)
    went = []
    for _ in range(3):
        [finding] = watching.after_epoch({"loss": 9.0}, 0.1)
        went.append(finding.to_day)
        watching.return_to(kept[finding.to_day - 1])
        if len(went) == 2:  # that day ends well, and is one to return to again
            watching.after_day(day(2, 0.8, 0.4))
    assert went == [2, 1, 2]


def test_a_day_that_learnt_nothing_is_no_good_day(sitter, day):
    watching = sitter()
    watching.after_day(day(0, 0.1, loss=2.5))
    watching.after_day(day(1, 0.3, loss=2.3))
    [finding] = watching.after_epoch({"loss": 9.0}, 0.1)
    assert finding.to_day == 0
