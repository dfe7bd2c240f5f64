"""The time left: none shown while it is anyone's guess, and right within about two where it is shown."""

from __future__ import annotations

import random

import pytest

from orchestrator.records import TrialEnd
from orchestrator.report.live.progress import Progress
from orchestrator.report.live.time_left import FEWEST_ENDED, InTraining, Seen, seconds_left
from tests.report.driven import Driven
from tests.report.timed_runs import timed_run


def seen(lengths, running=(), waiting=0, epochs=10, pace=1.0, at_once=1):
    return Seen(epochs, lengths, [InTraining(*trial) for trial in running], waiting, pace, at_once)


@pytest.mark.parametrize("ended", [0, 1, 9])
def test_none_is_shown_before_ten_trials_have_ended(ended):
    assert seconds_left(seen({10: ended}, [(3, 1.0)], waiting=60)) is None
    assert seconds_left(seen({10: ended}, [(3, 1.0)])) is None


def test_where_all_trials_are_as_long_it_is_their_epochs_at_the_runs_pace():
    assert seconds_left(seen({10: 10}, [(5, 1.0)], waiting=3)) == pytest.approx(35)


def test_where_the_next_end_may_be_the_first_or_the_last_epoch_none_is_shown():
    assert seconds_left(seen({1: 12}, [(0, 1.0)], epochs=100)) is None
    assert seconds_left(seen({1: 9, 100: 3}, [(1, 1.0)], epochs=100)) == pytest.approx(99)


def test_a_run_is_no_shorter_than_its_slowest_trial():
    running = [(5, 0.1)] * 9 + [(5, 6.0)]
    assert seconds_left(seen({10: 10}, running, pace=0.1, at_once=10)) == pytest.approx(30)


def test_a_run_about_to_end_has_nothing_left():
    assert seconds_left(seen({10: 10}, [(10, 1.0)])) == 0


def play(seed, trials, epochs, at_once, startup):
    """A run in which nothing is stopped, told to a Progress; return (truth, shown) after each epoch."""
    chance, clock, told = random.Random(seed), [0.0], []
    progress = Driven(Progress(trials, epochs, "m", "max", now=lambda: clock[0]))
    moments, waiting = [], iter(range(trials))

    def begin(delay):
        trial = next(waiting, None)
        if trial is not None:
            progress.trial_started(str(trial), {})
            seconds = chance.lognormvariate(0, 0.4)
            moments.append((clock[0] + delay + seconds, str(trial), 1, seconds))

    for _ in range(at_once):
        begin(startup)
    while moments:
        moment = min(moments)
        moments.remove(moment)
        clock[0], trial, epoch, seconds = moment
        row = {"trial": trial, "epoch": epoch, "metrics": {"m": 0.5}, "seconds": seconds}
        progress.epoch(row)
        if epoch < epochs:
            moments.append((clock[0] + seconds, trial, epoch + 1, seconds))
        else:
            progress.trial_ended(TrialEnd(trial, "finished", 1.0))
            begin(0.1)
        told.append((clock[0], progress.time_left()))
    return [(clock[0] - at, words) for at, words in told if words and clock[0] - at > 20]


def seconds_of(words):
    shown = words.removeprefix("about ").removesuffix(" left").removesuffix(" s").split(":")
    return sum(int(part) * 60**place for place, part in enumerate(reversed(shown)))


@pytest.mark.parametrize(("trials", "at_once"), [(40, 2), (40, 40), (40, 8)])
def test_what_is_shown_is_right_within_two_though_workers_take_long_to_start(trials, at_once):
    shown = [pair for seed in range(3) for pair in play(seed, trials, 20, at_once, startup=30.0)]
    ratios = [seconds_of(words) / truth for truth, words in shown]
    assert len(ratios) > 50
    assert sum(0.5 <= ratio <= 2 for ratio in ratios) / len(ratios) > 0.9


def test_paused_trials_are_taken_to_end_where_they_are():
    clock = [0.0]
    progress = Driven(Progress(16, 27, "m", "max", now=lambda: clock[0]))
    for number in range(12):
        progress.trial_started(str(number), {}, number)
        clock[0] += 1.0
        progress.epoch({"trial": str(number), "epoch": 1, "metrics": {"m": 0.5}, "seconds": 1.0})
        progress.waits(str(number))
    assert progress.time_left() == "about 4 s left"
    assert progress.share() == pytest.approx(0.75)


SCHEDULERS = {
    "asha": {"asha": {}},
    "asha that stops": {"asha": {"promote": False}},
    "hyperband": {"hyperband": {}},
    "median": {"median": {}},
    "none": "none",
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_on_recorded_curves_it_is_right_within_two_once_ten_trials_have_ended(name):
    end, shown = timed_run(SCHEDULERS[name])
    assert all(each.left is None for each in shown if each.ended < FEWEST_ENDED)
    told = [each for each in shown if each.left is not None and end - each.at > 0.02 * end]
    right = [each for each in told if 0.5 <= each.left / (end - each.at) <= 2]
    assert len(right) >= 0.9 * len(told)
    assert len(told) >= 0.2 * sum(each.ended >= FEWEST_ENDED for each in shown)
