"""Where a run stands: told by its last event, its driver's process and its heartbeat."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.records import (
    Heartbeat,
    RunFolder,
    RunProgress,
    RunState,
    RunWriter,
    TrialStarted,
    TrialWaits,
    acquire,
    read_run,
    run_status,
)
from orchestrator.records.heartbeat import SeenDriver, seconds_worked, standing, waits_told
from orchestrator.records.lock.driver import Driver, this_process
from tests.drivers import dead

STARTED = [{"event": "run_started", "time": "2026-11-22T08:00:00.000+00:00"}]


def at(minute, second=0):
    return f"2026-11-22T08:{minute:02}:{second:02}.000+00:00"


def seen(drives=True, age=1.0, beat=None, **heartbeat):
    facts = {"since": at(0), "progressed": at(29)} | heartbeat
    driver = Driver("a" * 32, this_process(), at(0), beat or at(30), 9, Heartbeat(**facts))
    return SeenDriver(driver, drives, age)


def test_a_driver_that_lives_and_gets_on_is_running_since_it_began():
    stands = standing(STARTED, seen())
    assert (stands.state, stands.since) == ("running", at(0))


def test_a_driver_that_died_leaves_its_run_interrupted_since_its_last_heartbeat():
    stands = standing(STARTED, seen(drives=False))
    assert (stands.state, stands.since, stands.reason) == ("interrupted", at(30), "its driver died")


def test_an_interrupted_run_that_is_taken_up_is_running_before_it_says_so_itself():
    ended = [*STARTED, {"event": "run_interrupted", "time": at(5)}]
    assert standing(ended, seen()).state == "running"
    assert standing(ended, seen(drives=False, state="ended")) == standing(ended, None)
    assert (standing(ended, None).state, standing(ended, None).since) == ("interrupted", at(5))


def test_a_finished_run_is_finished_while_its_driver_writes_the_tables():
    over = [*STARTED, {"event": "run_finished", "time": at(9), "reason": "enough epochs"}]
    assert standing(over, seen()) == standing(over, None)
    assert standing(over, None).reason == "enough epochs"


def test_an_interrupted_run_says_why_whether_a_driver_or_a_repair_ended_it():
    over = [*STARTED, {"event": "run_interrupted", "time": at(9), "reason": "a crash"}]
    assert standing(over, None).reason == "a crash"
    silent = [*STARTED, {"event": "run_interrupted", "time": at(9), "reason": None}]
    assert standing(silent, None).reason is None


def test_a_finished_run_that_was_extended_is_not_finished_any_more():
    events = [
        *STARTED,
        {"event": "run_finished", "time": at(9)},
        {"event": "extended", "time": at(10)},
    ]
    assert standing(events, None).state == "interrupted"


def test_a_silent_driver_that_lives_is_stuck_since_its_last_heartbeat():
    stands = standing(STARTED, seen(age=61))
    assert (stands.state, stands.since) == ("stuck", at(30))
    assert "61 seconds" in stands.reason
    assert standing(STARTED, seen(age=59)).state == "running"


def test_a_run_without_progress_is_stuck_after_ten_minutes_or_five_slow_epochs():
    still = {"progressed": at(18), "beat": at(29), "epochs": 1}
    stands = standing(STARTED, seen(**still))
    assert (stands.state, stands.since) == ("stuck", at(18))
    assert standing(STARTED, seen(**still, slowest_epoch=300)).state == "running"
    assert standing(STARTED, seen(**still | {"progressed": at(20)})).state == "running"


def test_before_its_first_epoch_a_run_is_stuck_after_two_hours_alone():
    stands = standing(STARTED, seen(progressed=at(1), beat=at(30)))
    assert (stands.state, stands.since) == ("running", at(0))
    assert stands.reason == "no epoch yet for 1741 seconds"
    late = "2026-11-22T10:02:00.000+00:00"
    stands = standing(STARTED, seen(progressed=at(1), beat=late))
    assert (stands.state, stands.since) == ("stuck", at(1))
    assert stands.reason == "no epoch yet for 7261 seconds"


def test_a_run_whose_winner_is_examined_is_not_stuck_and_says_so():
    examining = {"reason": "examining trial 00003", "epochs": 9, "progressed": at(1)}
    stands = standing(STARTED, seen(**examining))
    assert (stands.state, stands.since, stands.reason) == (
        "running",
        at(0),
        "examining trial 00003",
    )
    assert standing(STARTED, seen(**examining, age=61)).state == "stuck"


def test_a_paused_run_is_never_stuck_for_lack_of_progress():
    stands = standing(
        STARTED, seen(state="paused", reason="disk full", since=at(7), progressed=at(1))
    )
    assert (stands.state, stands.since, stands.reason) == ("paused", at(7), "disk full")
    assert standing(STARTED, seen(state="paused", age=99)).state == "stuck"


def test_time_worked_ends_with_the_heartbeat_of_a_driver_that_was_killed():
    events = [
        *STARTED,
        {"event": "taken_over", "time": at(50), "from": {"beat": at(1)}},
        {"event": "run_started", "time": at(50)},
        {"event": "run_interrupted", "time": at(52)},
        {"event": "run_started", "time": at(58)},
    ]
    assert seconds_worked(events, at(58, 30)) == 60 + 120 + 30
    assert seconds_worked(events, None) == 180
    assert seconds_worked([], at(1)) == 0


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "digits")
    folder.write_experiment("name: digits\nstrategy: caviar\ncaviar: {num_samples: 5}\n")
    with RunWriter(folder) as writer:
        writer.event("run_started")
        writer.trial_started("00000", 0, 1, {})
        metrics = {"val_accuracy": 0.5}
        writer.epochs([{"trial": "00000", "epoch": 1, "metrics": metrics, "seconds": 1.0}])
    return folder


def test_a_run_is_running_while_its_lock_is_held_and_interrupted_when_it_is_let_go_of(folder):
    lock = acquire(folder.driver_file)
    assert read_run(folder.path).status == "running"
    lock.release()
    assert read_run(folder.path).status == "interrupted"


def test_a_run_whose_driver_was_killed_is_interrupted(folder):
    gone = acquire(folder.driver_file, me=dead())
    stands = read_run(folder.path).standing
    assert (stands.state, stands.since) == ("interrupted", gone.driver.beat)


def test_the_status_of_a_driven_run_is_what_its_heartbeat_tells(folder):
    lock = acquire(folder.driver_file)
    told = {"trials_done": 3, "trials": 9, "epochs": 70, "best": 0.75, "best_trial": "00002"}
    lock.beat(replace(lock.driver.heartbeat, **told, in_training="00004 00007"))
    status = run_status(folder)
    assert status.in_training == 2
    assert {name: getattr(status, name) for name in told} == told
    assert (status.state, status.pid) == ("running", this_process().pid)
    assert status.heartbeat_seconds is not None
    assert status.free_bytes > 0


def test_the_status_of_a_run_that_nobody_drives_is_what_its_records_tell(folder):
    lock = acquire(folder.driver_file)
    lock.release()
    status = run_status(folder)
    assert (status.state, status.trials_done, status.trials, status.epochs) == (
        "interrupted",
        0,
        5,
        1,
    )
    assert (status.best, status.best_trial, status.heartbeat_seconds) == (0.5, "00000", None)


def looked_at(in_training):
    state = RunState("val_accuracy", "max")
    for index, trial in enumerate(("00000", "00001", "00002")):
        state.apply(TrialStarted(trial, index, 1, {}, at(0)))
        metrics = {"val_accuracy": 0.5}
        if index < 2:
            state.apply({"trial": trial, "epoch": 1, "metrics": metrics, "seconds": 1.0})
    state.apply(TrialWaits("00001"))
    for told in waits_told(state, Heartbeat(in_training=in_training)):
        state.apply(told)
    return state.waiting


def test_a_heartbeat_tells_another_process_which_trials_wait_for_their_promotion():
    assert looked_at("00001 00002") == {"00000"}
    assert looked_at("") == {"00000", "00001"}, "00002 has no epoch: it has begun since"


def test_a_heartbeat_that_names_no_trials_changes_nothing():
    assert looked_at(None) == {"00001"}


def test_a_driver_with_very_many_trials_in_training_does_not_name_them():
    state, progress = RunState("val_accuracy", "max"), RunProgress()
    for index in range(200):
        state.apply(TrialStarted(f"{index:05}", index, 1, {}, at(0)))
    progress.begin(state, 200)
    assert progress.heartbeat.in_training is None
    for index in range(190):
        state.apply(TrialWaits(f"{index:05}"))
    progress.refresh()
    assert len(progress.heartbeat.in_training.split()) == 10
