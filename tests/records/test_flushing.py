"""What a power cut leaves of the records, and a disk that tells only when flushed that it is full."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from orchestrator.records import (
    DiskFull,
    JsonLines,
    Pen,
    RunFolder,
    RunWriter,
    TrialEnd,
    jsonl,
    read_lines,
)


@pytest.fixture
def folder(tmp_path):
    return RunFolder.create(tmp_path, "digits")


@pytest.fixture
def flushed(monkeypatch):
    """The names of the files that were flushed, in order."""
    names, real = [], os.fsync

    def fsync(descriptor):
        names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    return names


@pytest.fixture
def later(monkeypatch):
    """`later(5)`: so many seconds pass; none do by themselves."""
    now = [1000.0]
    monkeypatch.setattr(jsonl.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def row(number):
    return {"trial": "00000", "epoch": number, "metrics": {"loss": 1.0}, "seconds": 0.1}


def test_an_event_is_on_the_disk_at_once_and_what_it_follows_before_it(folder, flushed):
    with RunWriter(folder) as writer:
        writer.event("run_started")
        assert flushed == ["events.jsonl"]
        writer.epochs([row(1)])
        writer.trial_ended(TrialEnd("00000", "finished", 1.0))
        writer.event("run_finished")
        assert flushed[1:] == ["epochs.jsonl", "trials.jsonl", "events.jsonl"]
    assert len(flushed) == 4, "nothing was left to flush"


def test_epochs_and_journal_are_flushed_every_few_seconds(folder, flushed, later):
    with RunWriter(folder) as writer:
        for number in range(100):
            writer.epochs([row(number)])
            later(0.125)
        assert flushed == ["epochs.jsonl"] * 2
        note = {"kind": "verdict", "trial": "00000", "epoch": 1, "day": 1, "text": "good"}
        writer.journal([note])
        later(6)
        writer.epochs([row(100)])
        assert flushed[2:] == ["journal.jsonl", "epochs.jsonl"]


def test_endings_are_flushed_once_a_second_however_many_trials_end(folder, flushed, later):
    with RunWriter(folder) as writer:
        for index in range(100):
            writer.trial_ended(TrialEnd(f"{index:05}", "finished", 0.1))
            later(0.0625)
        assert flushed == ["trials.jsonl"] * 6


def test_an_ending_waits_for_no_further_one_to_be_flushed(folder, flushed, later):
    with RunWriter(folder) as writer:
        writer.trial_ended(TrialEnd("00000", "finished", 0.1))
        later(1)
        writer.epochs([row(1)])
        assert flushed == ["trials.jsonl"]


class Full:
    """A disk that takes every line, and when flushed drops what is new, as NFS may; ``tries`` times."""

    def __init__(self, file, monkeypatch, number, tries=2):
        self.file, self.number, self.tries = file, number, tries
        self.kept, self.asked, self.real = 0, [], os.fsync
        monkeypatch.setattr(os, "fsync", self.fsync)

    def fsync(self, descriptor):
        if self.tries and Path(f"/proc/self/fd/{descriptor}").readlink() == self.file:
            self.tries -= 1
            os.truncate(self.file, self.kept)
            raise OSError(self.number, os.strerror(self.number))
        self.real(descriptor)
        self.kept = self.file.stat().st_size


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("closed", [False, True])
def test_what_a_full_disk_drops_when_flushed_is_waited_for_and_written_again(
    tmp_path, monkeypatch, number, closed
):
    file, waited = tmp_path / "epochs.jsonl", []
    records = JsonLines(file, Pen(on_full=waited.append))
    records.append({"epoch": 1})
    records.flush()
    disk = Full(file, monkeypatch, number)
    disk.kept = file.stat().st_size
    records.append({"epoch": 2})
    records.append({"epoch": 3})
    (records.close if closed else records.flush)()
    assert len(waited) == 2
    assert [line["epoch"] for line in read_lines(file)] == [1, 2, 3]
    records.close()


def test_without_patience_a_disk_full_when_closed_is_an_error_and_lets_go_of_the_file(
    tmp_path, monkeypatch
):
    records = JsonLines(tmp_path / "epochs.jsonl")
    Full(records.path, monkeypatch, errno.ENOSPC, tries=1)
    records.append({"epoch": 1})
    with pytest.raises(DiskFull):
        records.close()
    records.close()


def test_a_broken_disk_is_an_error(tmp_path, monkeypatch):
    records = JsonLines(tmp_path / "epochs.jsonl", Pen(on_full=lambda needed: pytest.fail("waits")))
    Full(records.path, monkeypatch, errno.EIO, tries=1)
    records.append({"epoch": 1})
    with pytest.raises(OSError, match="Input/output"):
        records.flush()
    records.close()


def test_that_closing_had_to_wait_is_an_event_of_the_run(folder, monkeypatch):
    Full(folder.epochs_file, monkeypatch, errno.ENOSPC, tries=1)

    def on_full(needed):
        writer.event("paused", reason="disk full")

    with RunWriter(folder, Pen(on_full=on_full)) as writer:
        writer.epochs([row(1)])
    assert [line["event"] for line in read_lines(folder.events_file)] == ["paused"]
    assert [line["epoch"] for line in read_lines(folder.epochs_file)] == [1]


def test_a_driver_whose_run_is_anothers_writes_nothing_again(tmp_path, monkeypatch):
    def lost():
        raise PermissionError("taken over")

    may = [lambda: None]
    records = JsonLines(tmp_path / "epochs.jsonl", Pen(lambda: may[0](), lambda needed: None))
    records.append({"epoch": 1})
    Full(records.path, monkeypatch, errno.ENOSPC, tries=1)
    may[0] = lost
    with pytest.raises(PermissionError):
        records.close()
    assert records.path.read_bytes() == b""
