"""What becomes of a run and its trials at their limits."""

from __future__ import annotations

import pytest

from orchestrator.tuning.protocol import Spent, SpentOnTrial
from tests.tuning.play import BUG, DIED, Play


def test_a_trial_out_of_time_is_stopped_at_its_next_report():
    play = Play(1, limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 59.0
    assert play.report("00000", 1)
    play.time = 60.0
    assert not play.report("00000", 2)
    end = play.heard.ends["00000"]
    assert (end.status, end.stopped_by["scheduler"]) == ("stopped", "max_trial_time")


def test_a_trial_out_of_time_is_stopped_amid_an_epoch():
    play = Play(1, limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 50.0
    assert play.report("00000", 1)
    play.time = 61.0
    assert not play.report("00000", epoch=1)
    assert play.heard.ends["00000"].stopped_by == {"scheduler": "max_trial_time", "epoch": 1}


def test_a_trial_that_does_not_come_back_is_to_be_killed_once_and_is_a_timeout():
    play = Play(2, limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 69.0
    assert play.stage.hung() == []
    play.time = 71.0
    assert play.stage.hung() == ["00000", "00001"] and play.stage.hung() == []
    play.stage.lost("00000", DIED)
    end = play.heard.ends["00000"]
    assert (end.status, end.failure) == ("failed", "timeout")
    assert play.heard.again == []


def test_a_trial_of_long_epochs_may_overstay_by_two_of_them():
    play = Play(1, limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 40.0
    play.report("00000", 1)
    play.time = 139.0
    assert play.stage.hung() == []
    play.time = 141.0
    assert play.stage.hung() == ["00000"]


def test_time_spent_waiting_for_a_disk_does_not_count():
    play = Play(1, limits={"max_trial_time": "1 minute", "max_run_time": "2 minutes"})
    play.begin()
    play.time, play.heard.disk.seconds = 1000.0, 990.0
    assert play.stage.hung() == []
    assert play.report("00000", 1)


@pytest.mark.parametrize(
    ("limits", "spent", "reason"),
    [
        ({"max_epochs": 5}, Spent(epochs=3), "limits.max_epochs of 5 is used up"),
        ({"max_run_time": "1 hour"}, Spent(seconds=3600), "limits.max_run_time of 1 hour is used"),
    ],
)
def test_a_run_that_meets_a_limit_ends_with_the_next_reports(limits, spent, reason):
    play = Play(4, spent=spent, limits=limits, caviar={"num_samples": 4, "scheduler": "none"})
    play.begin(2) if "max_epochs" in limits else None
    if "max_epochs" in limits:
        assert not play.report("00000", 1, 2)
        assert play.heard.ends["00000"].status == "interrupted", "so that it can go on"
        assert not play.report("00001", 1)
    assert play.begin() == []
    assert play.stage.over and reason in play.stage.reason


def test_no_more_than_max_trials_are_started_and_those_in_training_finish():
    play = Play(6, spent=Spent(trials=1), limits={"max_trials": 3})
    assert play.begin() == ["00000", "00001"]
    assert play.stage.reason == "limits.max_trials of 3 is used up"
    assert play.report("00000", 1) and not play.stage.over
    play.report("00000", 9, done=True)
    play.report("00001", 9, done=True)
    assert play.stage.over


def test_too_many_failed_trials_end_the_run_which_says_why():
    play = Play(6, spent=Spent(failed=1), limits={"max_failed_trials": 2})
    play.begin(3)
    play.report("00000", failure=BUG)
    assert play.begin(1) == ["00003"], "as many as allowed"
    play.report("00001", failure=BUG)
    assert play.begin() == []
    assert play.stage.reason == "given up: 3 trials failed, limits.max_failed_trials is 2"
    play.report("00002", 1)
    play.stage.lost("00003", DIED)
    assert play.heard.ends["00003"].status == "interrupted", "no more tries, but not its fault"
    assert play.stage.over


def test_a_trial_that_a_worker_takes_when_the_run_is_over_is_left_out():
    play = Play(4, limits={"max_failed_trials": 0})
    play.begin(1)
    late = [play.stage.next_trial(), play.stage.next_trial()]
    play.report("00000", failure=BUG)
    play.stage.started(late[0].trial)
    assert not play.report(late[0].trial, 1)
    play.stage.lost(late[1].trial, DIED)
    assert play.heard.begun == ["00000"] and play.heard.rows == []
    assert play.stage.over


def test_trials_that_hang_when_the_run_is_over_are_killed_and_interrupted():
    play = Play(2, limits={"max_run_time": "1 minute"})
    play.begin()
    play.time = 60.0
    assert play.stage.hung() == []
    play.time = 71.0
    for trial in play.stage.hung():
        play.stage.lost(trial, DIED)
    assert {end.status for end in play.heard.ends.values()} == {"interrupted"}
    assert play.stage.over


def test_the_time_until_a_lost_trial_has_another_worker_does_not_count():
    play = Play(1, limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 50.0
    play.stage.lost("00000", DIED)
    play.time = 500.0
    assert play.stage.hung() == []
    play.begin()
    play.time = 509.0
    assert play.report("00000", 1)
    play.time = 511.0
    assert not play.report("00000", 2), "50 seconds of the first try count"


HOUR = 3600.0


def before(seconds=0.0, *failures):
    return Spent(on={"00000": SpentOnTrial(seconds, failures)})


def test_a_trials_time_spans_the_sittings_of_its_run():
    play = Play(2, spent=before(1.5 * HOUR), limits={"max_trial_time": "2 hours"})
    play.begin()
    play.time = 0.4 * HOUR
    assert play.report("00000", 1)
    play.time = 0.5 * HOUR
    assert not play.report("00000", 2)
    end = play.heard.ends["00000"]
    assert (end.stopped_by["scheduler"], end.seconds) == ("max_trial_time", 2 * HOUR)
    assert play.report("00001", 1), "the other one has all of its time"


def test_a_trial_taken_up_late_may_report_before_it_counts_as_hung():
    play = Play(1, spent=before(59.0), limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 90.0
    assert play.stage.hung() == [], "its worker had to start"
    assert not play.report("00000", 1)
    assert play.heard.ends["00000"].status == "stopped"
    play = Play(1, spent=before(59.0), limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 122.0
    assert play.stage.hung() == ["00000"]


def test_the_seconds_of_a_trial_are_those_of_all_its_sittings_and_tries():
    play = Play(1, spent=before(100.0))
    play.begin()
    play.time = 7.0
    play.stage.lost("00000", DIED)
    play.time = 500.0
    play.begin()
    play.time = 503.0
    play.report("00000", 9, done=True)
    assert play.heard.ends["00000"].seconds == 110.0


def test_tries_of_earlier_sittings_count():
    play = Play(1, spent=before(0.0, DIED), retries={"times": 1})
    play.begin()
    play.stage.lost("00000", DIED)
    end = play.heard.ends["00000"]
    assert (end.status, end.attempts) == ("failed", 2)


def test_a_run_that_is_asked_to_stop_writes_down_what_its_trials_spent():
    play = Play(3, spent=before(100.0, DIED))
    play.begin(2)
    play.time = 5.0
    play.stage.lost("00001", DIED)
    play.time = 60.0
    play.stage.cut_off()
    spent = {name: (end.status, end.seconds, end.attempts) for name, end in play.heard.ends.items()}
    assert spent == {"00000": ("interrupted", 160.0, 2), "00001": ("interrupted", 5.0, 2)}


def test_epochs_that_a_trial_tells_again_count_once():
    play = Play(1, limits={"max_epochs": 4})
    play.begin()
    play.report("00000", 1, 2)
    play.stage.lost("00000", DIED)
    play.time = 5.0
    play.begin()
    assert play.report("00000", 1, 2, 3)
    assert not play.report("00000", 4)
    assert "max_epochs" in play.stage.reason
