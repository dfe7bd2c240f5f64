"""Reading on pays for what is new alone, and comes to what reading everything comes to."""

from __future__ import annotations

import pytest

from orchestrator.errors import RecordError
from orchestrator.experiment.resume import repair_run
from orchestrator.records import RunFolder, RunWriter, TrialEnd, read_run
from orchestrator.records.reader import Follower


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "one")
    folder.write_experiment("name: one\nmetric: val_accuracy\nmode: max\n")
    return folder


def row(trial, epoch, value=0.5):
    return {"trial": trial, "epoch": epoch, "metrics": {"val_accuracy": value}, "seconds": 0.1}


def test_each_event_is_read_once_and_an_end_after_its_epochs(folder):
    follower = Follower(folder)
    assert follower.read() == []
    with RunWriter(folder) as writer:
        writer.event("run_started")
        writer.trial_started("00000", 0, 1, {})
        writer.epochs([row("00000", 1)])
        first = follower.read()
        writer.epochs([row("00000", 2)])
        writer.trial_ended(TrialEnd("00000", "finished", 1.0))
        second = follower.read()
        assert follower.read() == []
    records = read_run(folder.path)
    assert first == [records.epochs[0], records.trial_lines[0], records.events[0]]
    assert second == [records.epochs[1], records.trial_lines[1]]


def test_a_line_in_the_middle_of_being_written_is_read_when_it_is_whole(folder):
    with RunWriter(folder) as writer:
        writer.epochs([row("00000", 1), row("00000", 2)])
    content = folder.epochs_file.read_bytes()
    follower, found = Follower(folder), []
    for end in range(len(content) + 1):
        folder.epochs_file.write_bytes(content[:end])
        found.append(len(follower.read()))
    assert [at for at, count in enumerate(found) if count] == [
        content.index(b"\n") + 1,
        len(content),
    ]


def test_a_damaged_line_is_left_out_and_counted_once_another_follows(folder):
    with RunWriter(folder) as writer:
        writer.epochs([row("00000", 1)])
        follower = Follower(folder)
        assert len(follower.read()) == 1
        with folder.epochs_file.open("ab") as file:
            file.write(b'{"trial": "../x", "epoch": 2}\n')
        assert (follower.read(), follower.damaged) == ([], 0)
        writer.epochs([row("00000", 3)])
    assert [event["epoch"] for event in follower.read()] == [3]
    assert follower.damaged == 1


def test_a_file_that_was_replaced_is_said_to_be(folder):
    with RunWriter(folder) as writer:
        writer.epochs([row("00000", 1), row("00000", 2)])
    follower = Follower(folder)
    follower.read()
    with folder.epochs_file.open("ab") as file:
        file.write(b"x\n{}\n")
    repair_run(folder.path)
    with pytest.raises(RecordError, match="the run was repaired"):
        follower.read()
