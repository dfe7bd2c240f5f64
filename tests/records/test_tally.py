"""The tally that a heartbeat tells equals what the records say."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from orchestrator.records import (
    RunFolder,
    RunState,
    RunWriter,
    Tally,
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
    """A tally, and the state that it follows."""

    def __init__(self, trials, before=()):
        self.state, self.tally = RunState("val_loss", "min"), Tally()
        for event in before:
            self.state.apply(event)
        self.tally.begin(self.state, trials)

    def __call__(self, *events):
        for event in events:
            self.state.apply(event)
        self.tally.refresh()

    @property
    def pulse(self):
        return self.tally.pulse


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
    pulse, records = told.pulse, read_run(folder.path)
    assert (pulse.trials_done, pulse.trials, pulse.epochs) == (records.state.done, 3, 3)
    assert (pulse.best_trial, pulse.best, pulse.slowest_epoch) == ("00000", 0.25, 7.0)

    later = Told(3, (*records.trial_lines, *records.epochs))
    facts = ("trials_done", "trials", "epochs", "best", "best_trial", "slowest_epoch")
    assert [getattr(later.pulse, f) for f in facts] == [getattr(pulse, f) for f in facts]


def test_progress_moves_when_a_trial_begins_reports_or_ends(told):
    times = [told.pulse.progressed]
    for event in (started("a"), epoch("a", 1, 0.5), TrialEnd("a", "finished", 1.0, time=TIME)):
        told.tally.pulse = replace(told.pulse, progressed="before")
        told(event)
        times.append(told.pulse.progressed)
    assert "before" not in times


def test_a_trial_beyond_the_plan_counts(told):
    for name in ("a", "b", "c", "branch"):
        told(started(name))
    assert told.pulse.trials == 4


def test_a_run_is_paused_while_all_of_its_trials_wait(told):
    told(started("a"))
    told(started("b"))
    told(asked("a", "pause"))
    assert told.pulse.state == "running"
    told(asked("b", "pause"))
    assert (told.pulse.state, told.pulse.reason) == ("paused", "asked to, at a, b")
    told(asked("a", "continue"))
    assert told.pulse.state == "running"
    told(TrialEnd("a", "finished", 1.0, time=TIME))
    assert told.pulse.state == "paused"
    told(TrialEnd("b", "stopped", 1.0, time=TIME))
    assert told.pulse.state == "running"


def test_what_the_driver_waits_for_is_not_ended_by_a_trial(told):
    told.tally.pause("the disk is full")
    since = told.pulse.since
    told(started("a"))
    told(asked("a", "continue"))
    told.tally.pause("the disk is full")
    assert (told.pulse.state, told.pulse.since) == ("paused", since)
    told.tally.go_on()
    assert (told.pulse.state, told.pulse.reason) == ("running", None)


def test_it_tells_what_is_examined_through_a_wait_for_the_disk():
    tally = Tally()
    tally.examines("trial 00003")
    tally.pause("disk full")
    assert (tally.pulse.state, tally.pulse.reason) == ("paused", "disk full")
    tally.go_on()
    assert (tally.pulse.state, tally.pulse.reason) == ("running", "examining trial 00003")
    tally.examines(None)
    assert (tally.pulse.state, tally.pulse.reason) == ("running", None)
