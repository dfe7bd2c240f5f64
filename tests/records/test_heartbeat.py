"""The progress that a heartbeat reports equals what the records say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from orchestrator.records import (
    RunFolder,
    RunProgress,
    RunState,
    RunWriter,
    TrialEnd,
    TrialStarted,
    read_run,
)

TIME = "2026-11-05T10:00:00+00:00"


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "digits")
    folder.write_experiment("name: digits\nmetric: val_loss\nmode: min\n")
    return folder


class Told:
    """The progress of a run, and the state that it follows."""

    def __init__(self, trials, before=()):
        self.state, self.progress = RunState("val_loss", "min"), RunProgress()
        for event in before:
            self.state.apply(event)
        self.progress.begin(self.state, trials)

    def __call__(self, *events):
        for event in events:
            self.state.apply(event)
        self.progress.refresh()

    @property
    def heartbeat(self):
        return self.progress.heartbeat


@pytest.fixture
def told():
    return Told(3)


def started(trial):
    return TrialStarted(trial, 0, 1, {}, TIME)


def epoch(trial, number, value, seconds=0.1):
    return {"trial": trial, "epoch": number, "metrics": {"val_loss": value}, "seconds": seconds}


def asked(trial, action):
    about = {"trial": trial, "epoch": 1, "day": 0, "time": TIME}
    return {"kind": "applied", "action": action} | about


def test_what_is_recorded_is_tallied(folder, told):
    with RunWriter(folder, written=lambda events: told(*events)) as writer:
        for index in range(3):
            writer.trial_started(f"0000{index}", index, 1, {})
        writer.epochs([epoch("00000", 1, 0.5), epoch("00001", 1, math.nan, seconds=7.0)])
        writer.epochs([epoch("00000", 2, 0.25)])
        writer.trial_ended(TrialEnd("00000", "finished", 1.0))
        writer.trial_ended(TrialEnd("00001", "interrupted", 1.0))
    heartbeat, records = told.heartbeat, read_run(folder.path)
    assert (heartbeat.trials_done, heartbeat.trials, heartbeat.epochs) == (records.state.done, 3, 3)
    assert (heartbeat.best_trial, heartbeat.best, heartbeat.slowest_epoch) == ("00000", 0.25, 7.0)

    later = Told(3, (*records.trial_lines, *records.epochs))
    facts = ("trials_done", "trials", "epochs", "best", "best_trial", "slowest_epoch")
    assert [getattr(later.heartbeat, f) for f in facts] == [getattr(heartbeat, f) for f in facts]


def test_progress_moves_when_a_trial_begins_reports_or_ends(told):
    times = [told.heartbeat.progressed]
    for event in (started("a"), epoch("a", 1, 0.5), TrialEnd("a", "finished", 1.0, time=TIME)):
        told.progress.heartbeat = replace(told.heartbeat, progressed="before")
        told(event)
        times.append(told.heartbeat.progressed)
    assert "before" not in times


def test_a_trial_beyond_the_plan_counts(told):
    for name in ("a", "b", "c", "branch"):
        told(started(name))
    assert told.heartbeat.trials == 4


def test_a_run_is_paused_while_all_of_its_trials_wait(told):
    told(started("a"))
    told(started("b"))
    told(asked("a", "pause"))
    assert told.heartbeat.state == "running"
    told(asked("b", "pause"))
    assert (told.heartbeat.state, told.heartbeat.reason) == ("paused", "asked to pause: a, b")
    told(asked("a", "continue"))
    assert told.heartbeat.state == "running"
    told(TrialEnd("a", "finished", 1.0, time=TIME))
    assert told.heartbeat.state == "paused"
    told(TrialEnd("b", "stopped", 1.0, time=TIME))
    assert told.heartbeat.state == "running"


def test_what_the_driver_waits_for_is_not_ended_by_a_trial(told):
    told.progress.pause("the disk is full")
    since = told.heartbeat.since
    told(started("a"))
    told(asked("a", "continue"))
    told.progress.pause("the disk is full")
    assert (told.heartbeat.state, told.heartbeat.since) == ("paused", since)
    told.progress.go_on()
    assert (told.heartbeat.state, told.heartbeat.reason) == ("running", None)


def test_it_counts_the_search_s_trials_alone_and_tells_which_replicates_train(told):
    told(started("a"), started("b"), started("c"), epoch("a", 1, 0.5))
    again = replace(started("a-r1"), repeats="a", replicate=1)
    told(again, replace(again, trial="b-r1", repeats="b"), again)
    beat = told.heartbeat
    assert (beat.trials, beat.trials_done, beat.in_training) == (3, 0, "a a-r1 b b-r1 c")


def test_it_tells_what_is_examined_through_a_wait_for_the_disk():
    progress = RunProgress()
    progress.examines("trial 00003")
    progress.pause("disk full")
    assert (progress.heartbeat.state, progress.heartbeat.reason) == ("paused", "disk full")
    progress.go_on()
    assert (progress.heartbeat.state, progress.heartbeat.reason) == (
        "running",
        "examining trial 00003",
    )
    progress.examines(None)
    assert (progress.heartbeat.state, progress.heartbeat.reason) == ("running", None)
