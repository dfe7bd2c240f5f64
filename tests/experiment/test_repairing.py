"""Damaged lines are set aside, the others stay, and what is gone is trained again."""

from __future__ import annotations

import pytest

from orchestrator.errors import RecordError, RunExistsError, UnknownNameError
from orchestrator.experiment.resume import repair_run
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


def damage(file, number):
    lines = file.read_bytes().split(b"\n")
    lines[number - 1] = b"\xff" + lines[number - 1]
    file.write_bytes(b"\n".join(lines))


def content(folder):
    return {file.name: file.read_bytes() for file in folder.path.glob("*.jsonl*")}


def test_where_nothing_is_damaged_nothing_is_changed(folder):
    before = content(folder)
    done = repair_run(folder.path)
    assert done.moved == {}
    assert content(folder) == before
    assert read_run(folder.path).status == "finished"


def test_a_damaged_line_is_kept_aside_with_its_number_and_the_others_stay_as_they_were(folder):
    damage(folder.epochs_file, 5)
    before = folder.epochs_file.read_bytes().split(b"\n")
    with pytest.raises(RecordError, match=r"epochs.jsonl, line 5.*orchestrator repair \S+digits'"):
        read_run(folder.path, exact=True)
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
    assert (stands.state, stands.reason) == ("interrupted", "its records were repaired")


def states(folder):
    return [int(file.name[:5]) for file in sorted(folder.checkpoints.iterdir())]


@pytest.mark.parametrize("number", [6, 7])
def test_a_trial_in_flight_that_lost_an_epoch_begins_anew(folder, number):
    damage(folder.epochs_file, number)
    repair_run(folder.path)
    assert states(folder) == [0, 1]


def test_where_it_is_not_known_whose_epoch_is_gone_all_in_flight_begin_anew(folder):
    lines = folder.epochs_file.read_bytes().split(b"\n")
    lines[2] = b"\x00" * len(lines[2])
    folder.epochs_file.write_bytes(b"\n".join(lines))
    repair_run(folder.path)
    assert states(folder) == [0, 1]


def test_a_trial_in_flight_that_lost_nothing_goes_on_from_where_it_was(folder):
    damage(folder.epochs_file, 1)
    repair_run(folder.path)
    assert states(folder) == [0, 1, 2]


def test_an_ending_whose_beginning_is_gone_follows_it(folder):
    damage(folder.trials_file, 1)
    done = repair_run(folder.path)
    assert list(done.moved["trials.jsonl"]) == [1, 4]
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
