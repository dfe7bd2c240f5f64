"""A run whose first ten trials fail alike is given up, and no other is."""

from __future__ import annotations

import pytest

from orchestrator.tuning.failures import Failure
from orchestrator.tuning.protocol import Spent
from tests.tuning.play import Play


def bug(said):
    return Failure("error", said, "Traceback", transient=False)


def fail(play, many, said="ValueError: units"):
    """Let the next ``many`` trials begin and fail, one after another."""
    for _ in range(many):
        [trial] = play.begin(1)
        play.report(trial, failure=bug(said.format(trial)))


def test_the_same_error_in_the_first_ten_trials_gives_the_run_up_saying_it_once():
    play = Play(40)
    fail(play, 9)
    assert play.stage.reason is None
    fail(play, 1)
    assert play.begin() == [] and play.stage.over
    said = "given up: the first 10 trials failed with the same error: ValueError: units"
    assert play.stage.reason == said
    assert len(play.heard.ends) == 10


def test_numbers_and_addresses_make_no_other_error():
    play = Play(40)
    fail(play, 10, "ValueError: dense_{0} of <object at 0x7f{0}> gave 1e-0{0}")
    assert play.begin() == []
    assert play.stage.reason.endswith("dense_00000 of <object at 0x7f00000> gave 1e-000000")


def test_one_other_error_among_the_first_ten_lets_the_run_go_on():
    play = Play(40)
    fail(play, 4)
    fail(play, 1, "KeyError: 'units'")
    fail(play, 20)
    assert play.stage.reason is None


@pytest.mark.parametrize("ending", [{"done": True}, {"diverged": True}])
def test_a_trial_that_got_through_lets_the_run_go_on(ending):
    play = Play(40)
    play.begin(1)
    play.report("00000", 1, **ending)
    fail(play, 20)
    assert play.stage.reason is None


def test_a_run_that_had_trials_that_got_through_is_not_given_up_when_it_goes_on():
    play = Play(40, spent=Spent(trials=3, failed=2))
    fail(play, 20)
    assert play.stage.reason is None


def test_those_in_training_are_cut_short_and_can_go_on():
    play = Play(40)
    running = play.begin(2)
    fail(play, 10)
    assert not play.report(running[0], 1)
    assert play.heard.ends[running[0]].status == "interrupted"
