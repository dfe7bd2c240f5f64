"""Who comes next, goes on, is tried again, and when a run is over."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.searchers import RandomOptions
from orchestrator.searchers.random import RandomSearcher
from tests.tuning.play import BUG, DIED, FULL, OOM, Play


def test_a_run_is_over_when_each_trial_has_ended():
    play = Play(2)
    play.begin()
    assert play.report("00000", 1) and not play.report("00000", 9, done=True)
    assert not play.stage.over
    assert not play.report("00001", 1, diverged=True)
    assert play.stage.over and play.stage.reason is None
    assert {name: end.status for name, end in play.heard.ends.items()} == {
        "00000": "finished",
        "00001": "diverged",
    }


def test_a_lost_worker_costs_its_trial_nothing_but_the_wait():
    play = Play(1)
    play.begin()
    play.stage.lost("00000", DIED)
    assert play.heard.again == [("00000", "worker_died", 2, 5.0)]
    assert play.begin() == [] and not play.stage.over
    play.time = 5.0
    assert play.begin() == ["00000"]
    assert play.heard.begun == ["00000"], "the trial goes on, it does not begin anew"
    play.report("00000", 9, done=True)
    assert (play.heard.ends["00000"].status, play.heard.ends["00000"].attempts) == ("finished", 2)


def test_a_worker_that_dies_every_time_makes_a_failed_trial():
    play = Play(1, retries={"times": 2, "wait": "1 second"})
    for _ in range(3):
        play.begin()
        play.stage.lost("00000", DIED)
        play.time += 10
    end = play.heard.ends["00000"]
    assert (end.status, end.failure, end.attempts) == ("failed", "worker_died", 3)
    assert play.stage.over


def test_a_worker_that_dies_before_its_trial_began_is_no_lost_trial():
    play = Play(1)
    play.stage.next_trial()
    play.stage.lost("00000", DIED)
    play.time = 5.0
    assert play.begin() == ["00000"]


def test_a_bug_in_the_model_is_not_tried_again():
    play = Play(2)
    play.begin()
    assert not play.report("00000", failure=BUG)
    end = play.heard.ends["00000"]
    assert (end.status, end.failure, end.error, end.attempts) == (
        "failed", "error", "ValueError: units", 1,
    )  # fmt: skip
    assert play.heard.again == []


def test_rows_told_before_an_error_are_kept():
    play = Play(1)
    play.begin()
    play.report("00000", 1, 2, failure=BUG)
    assert [row["epoch"] for row in play.heard.rows] == [1, 2]


def test_out_of_memory_lets_fewer_train_at_once():
    play = Play(6)
    play.begin(3)
    play.stage.lost("00001", OOM)
    assert ("fewer_at_once", {"trials": 2}) in play.heard.events
    assert play.begin() == []
    play.report("00000", 9, done=True)
    assert play.begin() == ["00003"]


def test_a_full_disk_is_waited_for_and_costs_no_try():
    play = Play(1, retries={"times": 0})
    play.begin()
    assert not play.report("00000", failure=FULL)
    assert play.heard.ends == {}
    assert play.begin() == ["00000"]


def test_a_disk_that_is_full_for_the_trial_alone_is_tried_again_like_anything():
    play = Play(1, retries={"times": 0})
    play.heard.disk.was_full = False
    play.begin()
    play.report("00000", failure=FULL)
    assert play.heard.ends["00000"].failure == "disk"


def test_the_scheduler_stops_a_trial_at_its_rung():
    play = Play(3, scheduler={"asha": {"promote": False, "grace_period": 1, "reduction_factor": 3}})
    play.begin()
    assert play.report("00000", 1, value=0.9)
    assert not play.report("00001", 1, value=0.1)
    end = play.heard.ends["00001"]
    assert end.stopped_by == {"scheduler": "asha", "epoch": 1, "value": 0.1, "cutoff": 0.9}


def test_a_panda_is_not_over_while_it_may_still_branch():
    play = Play(strategy="panda", panda={"start": {"learning_rate": 0.1}, "days": 3})
    assert play.begin() == ["00000"]
    assert play.stage.next_trial() is None and not play.stage.over
    branch = {"trial": "gentle", "seed": 1, "hyperparameters": {}, "checkpoint": "day-1.npz"}
    play.report("00000", 1, branches=[branch])
    assert play.begin() == ["gentle"]
    play.report("00000", 3, done=True)
    assert not play.stage.over
    play.report("gentle", 3, done=True)
    assert play.stage.over


def test_a_report_amid_an_epoch_decides_nothing_and_tells_nothing():
    play = Play(2, scheduler={"asha": {"promote": False, "grace_period": 1, "reduction_factor": 2}})
    play.begin()
    assert all(play.report(trial) for trial in ("00000", "00001", "00001"))
    assert play.heard.rows == [] and play.heard.ends == {}
    assert play.report("00000", 1, value=0.9)
    assert play.report("00001")
    assert not play.report("00001", 1, value=0.1)


def test_what_the_runs_own_folder_refuses_ends_the_sitting_and_no_trial():
    play = Play(trials=3)
    play.begin(2)
    mine = replace(BUG, of_run=True, message="PermissionError: checkpoints")
    assert not play.report("00000", failure=mine)
    assert play.stage.trouble == "PermissionError: checkpoints"
    assert play.stage.next_trial() is None
    play.stage.cut_off()
    assert {end.status for end in play.heard.ends.values()} == {"interrupted"}


def test_a_searcher_that_learns_is_asked_for_one_trial_ahead_at_most(monkeypatch):
    """Ray Tune asks for more trials than find a worker: what is told meanwhile would come too late for them."""
    monkeypatch.setattr(RandomOptions, "learns", True)
    play = Play(8)
    assert [play.stage.next_trial().trial for _ in range(3)] == ["00000", "00001", "00002"]
    for trial in ("00000", "00001"):
        play.stage.started(trial)
    play.report("00000", 1)
    assert play.stage.next_trial() is None, "00002 waits for a worker"
    play.stage.started("00002")
    assert play.stage.next_trial().trial == "00003"
    assert play.stage.next_trial() is None


def test_a_searcher_that_has_nothing_more_ends_the_run_which_says_so(monkeypatch):
    monkeypatch.setattr(RandomSearcher, "ask", lambda self, index: {} if index < 2 else None)
    play = Play(5)
    assert play.begin() == ["00000", "00001"] and not play.stage.over
    for trial in ("00000", "00001"):
        play.report(trial, 9, done=True)
    assert play.stage.next_trial() is None and play.stage.over
    assert (
        play.stage.reason
        == "the searcher proposed no more: 3 of 5 trials of up to 9 epochs are left"
    )


def test_whoever_looks_on_is_told_which_trials_wait_for_their_promotion():
    play = Play(6, scheduler={"asha": {"promote": True, "reduction_factor": 2}})
    for trial, value in zip(play.begin(3), (0.9, 0.1, 0.5), strict=True):
        play.report(trial, 1, value=value)
    assert play.heard.waiting == {"00000", "00001", "00002"}
    assert play.begin(1) == ["00000"]
    assert play.heard.waiting == {"00001", "00002"}


def test_a_look_ahead_gives_what_comes_next_once_or_ends_what_waits_in_vain():
    play = Play(2, scheduler={"asha": {"promote": True, "reduction_factor": 2}})
    for trial, value in zip(play.begin(), (0.9, 0.1), strict=True):
        play.report(trial, 1, value=value)
    play.stage.look_ahead()
    assert not play.stage.over and play.begin() == ["00000"]
    play.report("00000", 9, done=True)
    assert not play.stage.over
    play.stage.look_ahead()
    assert play.stage.over and play.heard.ends["00001"].stopped_by["epoch"] == 1
