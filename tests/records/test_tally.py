"""The tally that a heartbeat tells equals what the records say."""

from __future__ import annotations

import math

import pytest

from orchestrator.records import RunFolder, RunWriter, Tally, TrialEnd, read_run


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "digits")
    folder.write_experiment("name: digits\nmetric: val_loss\nmode: min\n")
    return folder


@pytest.fixture
def tally():
    tally = Tally()
    tally.begin("val_loss", "min", ["00000", "00001", "00002"])
    return tally


def epoch(trial, number, value, seconds=0.1):
    return {"trial": trial, "epoch": number, "metrics": {"val_loss": value}, "seconds": seconds}


def asked(trial, action):
    return {"kind": "applied", "trial": trial, "epoch": 1, "day": 0, "action": action}


def test_what_is_recorded_is_tallied(folder, tally):
    with RunWriter(folder, tally=tally) as writer:
        for index in range(3):
            writer.trial_started(f"0000{index}", index, 1, {})
        writer.epochs([epoch("00000", 1, 0.5), epoch("00001", 1, math.nan, seconds=7.0)])
        writer.epochs([epoch("00000", 2, 0.25)])
        writer.trial_ended(TrialEnd("00000", "finished", 1.0))
        writer.trial_ended(TrialEnd("00001", "interrupted", 1.0))
    pulse, records = tally.pulse, read_run(folder.path)
    assert (pulse.trials_done, pulse.trials, pulse.epochs) == (records.trials_done, 3, 3)
    assert (pulse.best_trial, pulse.best, pulse.slowest_epoch) == ("00000", 0.25, 7.0)

    later = Tally()
    later.begin("val_loss", "min", ["00001", "00002"], records)
    facts = ("trials_done", "trials", "epochs", "best", "best_trial", "slowest_epoch")
    assert [getattr(later.pulse, f) for f in facts] == [getattr(pulse, f) for f in facts]


def test_progress_moves_when_a_trial_begins_reports_or_ends(tally):
    times = [tally.pulse.progressed]
    for happens in (
        lambda: tally.trial_started("a"),
        lambda: tally.epochs([epoch("a", 1, 0.5)]),
        lambda: tally.trial_ended("a", "finished"),
    ):
        tally.pulse = tally.pulse.__class__(progressed="before")
        happens()
        times.append(tally.pulse.progressed)
    assert "before" not in times


def test_a_trial_beyond_the_plan_counts(tally):
    for name in ("a", "b", "c", "branch"):
        tally.trial_started(name)
    assert tally.pulse.trials == 4


def test_a_run_is_paused_while_all_of_its_trials_wait(tally):
    tally.trial_started("a")
    tally.trial_started("b")
    tally.journal([asked("a", "pause")])
    assert tally.pulse.state == "running"
    tally.journal([asked("b", "pause")])
    assert (tally.pulse.state, tally.pulse.why) == ("paused", "asked to, at a, b")
    tally.journal([asked("a", "continue")])
    assert tally.pulse.state == "running"
    tally.trial_ended("a", "finished")
    assert tally.pulse.state == "paused"
    tally.trial_ended("b", "stopped")
    assert tally.pulse.state == "running"


def test_what_the_driver_waits_for_is_not_ended_by_a_trial(tally):
    tally.pause("the disk is full")
    since = tally.pulse.since
    tally.trial_started("a")
    tally.journal([asked("a", "continue")])
    tally.pause("the disk is full")
    assert (tally.pulse.state, tally.pulse.since) == ("paused", since)
    tally.go_on()
    assert (tally.pulse.state, tally.pulse.why) == ("running", None)


def test_it_tells_what_is_examined_through_a_wait_for_the_disk():
    tally = Tally()
    tally.examines("trial 00003")
    tally.pause("disk full")
    assert (tally.pulse.state, tally.pulse.why) == ("paused", "disk full")
    tally.go_on()
    assert (tally.pulse.state, tally.pulse.why) == ("running", "examining trial 00003")
    tally.examines(None)
    assert (tally.pulse.state, tally.pulse.why) == ("running", None)
