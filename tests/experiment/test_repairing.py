"""Damaged lines are set aside, the others stay, and what is gone is trained again."""

from __future__ import annotations

import pytest

from orchestrator.errors import RecordError, RunExistsError, UnknownNameError
from orchestrator.experiment.repairing import repair_run
from orchestrator.records import RunFolder, RunWriter, TrialEnd, acquire, read_run


def epoch(trial, number):
    metrics = {"val_accuracy": number / 10}
    return {"trial": trial, "epoch": number, "metrics": metrics, "seconds": 0.1}


@pytest.fixture
def folder(tmp_path):
    """A finished run of three trials: 0 finished after 3 epochs, 1 stopped after 2, 2 in flight after 2."""
    folder = RunFolder.create(tmp_path, "digits")
    folder.write_experiment("name: digits\nstrategy: caviar\nepochs: 3\n")
    with RunWriter(folder) as writer:
        writer.event("run_started")
        for index, epochs in enumerate((3, 2, 2)):
            writer.trial_started(f"0000{index}", index, 7, {})
            writer.epochs(epoch(f"0000{index}", number + 1) for number in range(epochs))
            (folder.checkpoints / f"0000{index}.last.npz").write_bytes(b"state")
        writer.trial_ended(TrialEnd("00000", "finished", 1.0))
        stop = {"scheduler": "asha", "epoch": 2, "value": 0.2, "cutoff": 0.8}
        writer.trial_ended(TrialEnd("00001", "stopped", 1.0, stopped_by=stop))
        writer.event("run_finished")
    return folder


def damage(file, number, old=b"crc32", new=b"crc\x0032", cut=None):
    lines = file.read_bytes().split(b"\n")
    lines[number - 1] = (
        lines[number - 1][:cut].replace(old, new) if cut else b"\xff" + lines[number - 1]
    )
    file.write_bytes(b"\n".join(lines))


def content(folder):
    return {file.name: file.read_bytes() for file in folder.path.glob("*.jsonl*")}


def test_where_nothing_is_damaged_nothing_is_changed(folder):
    before = content(folder)
    done = repair_run(folder.path)
    assert (done.moved, done.again) == ({}, ())
    assert content(folder) == before
    assert read_run(folder.path).status == "finished"


def test_a_damaged_line_is_kept_aside_with_its_number_and_the_others_stay_as_they_were(folder):
    damage(folder.epochs_file, 5)
    before = folder.epochs_file.read_bytes().split(b"\n")
    with pytest.raises(RecordError, match=r"epochs.jsonl, line 5.*orchestrator repair \S+digits'"):
        read_run(folder.path)
    done = repair_run(folder.path)
    assert list(done.moved["epochs.jsonl"]) == [5]
    assert folder.epochs_file.read_bytes().split(b"\n") == before[:4] + before[5:]
    note, line = (folder.path / "epochs.jsonl.damaged").read_bytes().split(b"\n")[:2]
    assert note.startswith(b"line 5: expected ")
    assert line == before[4]
    assert len(read_run(folder.path).epochs) == 6


def test_a_repaired_run_is_open_again_and_says_why(folder):
    damage(folder.epochs_file, 5)
    repair_run(folder.path)
    stands = read_run(folder.path).standing
    assert (stands.state, stands.why) == ("interrupted", "its records were repaired")


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_finished_trial_that_lost_an_epoch_is_trained_again(folder, number):
    damage(folder.epochs_file, number)
    done = repair_run(folder.path)
    assert done.again == ("00000",)
    trial = read_run(folder.path).trial("00000")
    assert trial.ending is None
    assert len(read_run(folder.path).epochs_of("00000")) == 2


def test_a_stopped_trial_that_lost_an_epoch_stays_stopped(folder):
    damage(folder.epochs_file, 4)
    assert repair_run(folder.path).again == ()
    assert read_run(folder.path).trial("00001").status == "stopped"


@pytest.mark.parametrize("number", [6, 7])
def test_a_trial_in_flight_that_lost_an_epoch_begins_anew(folder, number):
    damage(folder.epochs_file, number)
    assert repair_run(folder.path).again == ("00002",)
    states = sorted(file.name for file in folder.checkpoints.iterdir())
    assert states == ["00000.last.npz", "00001.last.npz"]


def test_where_it_is_not_known_whose_epoch_is_gone_all_that_may_have_lost_it_train_again(folder):
    lines = folder.epochs_file.read_bytes().split(b"\n")
    lines[6] = b"\x00" * len(lines[6])
    folder.epochs_file.write_bytes(b"\n".join(lines))
    assert repair_run(folder.path).again == ("00002",)
    lines[6], lines[2] = b"", b"\x00" * 9
    folder.epochs_file.write_bytes(b"\n".join([*lines[:6], b""]))
    assert repair_run(folder.path).again == ("00000", "00002")


def test_an_ending_whose_beginning_is_gone_follows_it(folder):
    damage(folder.trials_file, 1)
    done = repair_run(folder.path)
    assert list(done.moved["trials.jsonl"]) == [1, 4]
    assert done.again == ("00000",)
    assert [trial.trial for trial in read_run(folder.path).trials] == ["00001", "00002"]


@pytest.mark.parametrize("file", ["trials_file", "epochs_file", "events_file"])
def test_every_line_damaged_alone_leaves_a_run_that_can_be_read(folder, file):
    path = getattr(folder, file)
    whole = content(folder)
    for number in range(1, whole[path.name].count(b"\n") + 1):
        for name, was in whole.items():
            (folder.path / name).write_bytes(was)
        damage(path, number)
        repair_run(folder.path)
        assert read_run(folder.path).status == "interrupted"


def test_a_record_that_makes_no_sense_is_damage_too(folder):
    with folder.epochs_file.open("ab") as file:
        file.write(b'{"trial": "00002", "epoch": "three", "metrics": {}}\n')
    assert list(repair_run(folder.path).moved["epochs.jsonl"]) == [8]
    read_run(folder.path)


def test_a_babysat_run_keeps_what_is_left(folder):
    folder.write_experiment("name: digits\nstrategy: panda\nepochs: 3\n")
    damage(folder.epochs_file, 2)
    done = repair_run(folder.path)
    assert done.again == ()
    assert read_run(folder.path).trial("00000").status == "finished"


def test_a_run_that_is_driven_is_not_repaired(folder):
    damage(folder.epochs_file, 2)
    before = content(folder)
    lock = acquire(folder.driver_file)
    with pytest.raises(RunExistsError, match="nobody drives"):
        repair_run(folder.path)
    assert content(folder) == before
    lock.release()


def test_an_unknown_run_cannot_be_repaired(tmp_path):
    with pytest.raises(UnknownNameError):
        repair_run("none", tmp_path)
