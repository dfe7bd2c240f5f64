"""A driver holds its run's lock, beats, and stops where the run is another's."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from orchestrator.errors import LockLostError, RunExistsError
from orchestrator.experiment import run_lease as room
from orchestrator.experiment.run_lease import driving
from orchestrator.records import Pen, RunFolder, RunState, RunWriter, acquire, read_run
from orchestrator.records.lock.driver import look
from tests.drivers import FAR, dead


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "BEAT_SECONDS", 0.02)
    folder = RunFolder.create(tmp_path, "digits")
    folder.write_experiment("name: digits\n")
    return folder


def until(condition):
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def rob(folder):
    """Take the run over, as another machine does that believes this one dead."""
    thief = acquire(folder.path / "other.json", me=FAR)
    thief.file = thief.file.replace(folder.driver_file)
    return thief


def test_the_heart_beats_and_tells_what_is_recorded(folder):
    with driving(folder) as driven:
        state = RunState("val_accuracy", "max")
        driven.progress.begin(state, 1)

        def written(events):
            for event in events:
                state.apply(event)
            driven.progress.refresh()

        with RunWriter(folder, Pen(driven.check), written) as writer:
            writer.trial_started("00000", 0, 1, {})
            row = {"trial": "00000", "epoch": 1, "metrics": {"val_accuracy": 0.5}, "seconds": 1}
            writer.epochs([row])
            until(lambda: look(folder.driver_file).driver.heartbeat.epochs == 1)
        count = look(folder.driver_file).driver.count
        until(lambda: look(folder.driver_file).driver.count > count + 2)
        assert read_run(folder.path).status == "running"
    assert read_run(folder.path).status == "interrupted"
    assert look(folder.driver_file).driver.heartbeat.state == "ended"


def test_whatever_ends_a_driver_lets_go_of_the_run(folder):
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), driving(folder):
            raise error
    with driving(folder) as driven:
        assert driven.taken_from is None


def test_two_drivers_cannot_drive_one_run(folder):
    with driving(folder):
        with pytest.raises(RunExistsError, match="nobody drives"), driving(folder):
            pass
        assert look(folder.driver_file).driver.heartbeat.state == "running"


def test_a_dead_driver_is_named_by_the_one_that_takes_over(folder):
    gone = acquire(folder.driver_file, me=dead())
    with driving(folder) as driven:
        assert driven.taken_from["pid"] == gone.driver.process.pid
        assert driven.taken_from["beat"] == gone.driver.beat


def test_a_driver_whose_run_was_taken_over_is_interrupted_and_writes_nothing_more(folder):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    told = False
    try:
        with pytest.raises(LockLostError, match="taken over by process 7 on far"):  # noqa: SIM117
            with (
                driving(folder) as driven,
                RunWriter(folder, Pen(driven.check)) as writer,
            ):
                writer.event("run_started")
                thief = acquire(folder.path / "other.json", me=FAR)
                try:  # from here on it may be interrupted at any moment
                    thief.file = thief.file.replace(folder.driver_file)
                    for _ in range(
                        3000
                    ):  # a signal that comes right before a wait is heard after it
                        time.sleep(0.1)
                except KeyboardInterrupt:
                    told = True  # as a run takes it: it ends early, and notes that
                writer.event("run_interrupted")
    finally:
        signal.signal(signal.SIGINT, before)
    assert told
    assert [event["event"] for event in read_run(folder.path).events] == ["run_started"]
    thief.beat()
    assert look(folder.driver_file).driver.process == FAR


def test_a_driver_in_another_thread_is_stopped_at_its_next_write(folder):
    ended = []

    def drive():
        try:
            with driving(folder) as driven, RunWriter(folder, Pen(driven.check)) as writer:
                rob(folder)
                until(lambda: driven.lost is not None)
                writer.event("run_started")
        except LockLostError as error:
            ended.append(error)

    thread = threading.Thread(target=drive)
    thread.start()
    thread.join(300)
    assert len(ended) == 1
    assert read_run(folder.path).events == ()


def test_a_driver_that_slept_looks_before_it_writes(folder, monkeypatch):
    monkeypatch.setattr(room, "BEAT_SECONDS", 60)
    with (
        pytest.raises(LockLostError),
        driving(folder) as driven,
        RunWriter(folder, Pen(driven.check)) as writer,
    ):
        writer.event("run_started")
        rob(folder)
        clocks = [clock + 3600 for clock in room.DriverLock.__init__.__globals__["_clocks"]()]
        monkeypatch.setattr("orchestrator.records.lock.driver_lock._clocks", lambda: clocks)
        writer.event("winner")
    assert [event["event"] for event in read_run(folder.path).events] == ["run_started"]
