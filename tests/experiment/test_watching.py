"""Looking on while another thread, in a driver's place, writes a run down."""

from __future__ import annotations

import threading
from importlib import import_module

import pytest

from orchestrator.errors import RecordError, UnknownNameError
from orchestrator.experiment.run import watch
from orchestrator.experiment.run_lease import driving
from orchestrator.records import RunFolder, RunWriter, TrialEnd, read_run

room = import_module("orchestrator.experiment.run")  # the package has a function of that name


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "LOOK_AGAIN_SECONDS", 0.01)
    folder = RunFolder.create(tmp_path, "one")
    folder.write_experiment(
        "name: one\nstrategy: caviar\nmetric: val_accuracy\nmode: max\nepochs: 2\n"
        "caviar: {num_samples: 2}\n"
    )
    folder.write_manifest({})
    return folder


def row(trial, epoch, value):
    return {"trial": trial, "epoch": epoch, "metrics": {"val_accuracy": value}, "seconds": 0.1}


def drive(folder, begun, go_on):
    with driving(folder), RunWriter(folder) as writer:
        writer.event("run_started")
        writer.trial_started("00000", 0, 1, {"units": 8})
        writer.epochs([row("00000", 1, 0.5)])
        begun.set()
        go_on.wait(300)
        writer.epochs([row("00000", 2, 0.6)])
        writer.trial_ended(TrialEnd("00000", "finished", 1.0))
        writer.trial_started("00001", 1, 1, {"units": 16})
        writer.epochs([row("00001", 1, 0.9)])
        writer.trial_ended(TrialEnd("00001", "failed", 1.0, error="ValueError: no"))
        writer.event("run_finished", reason="enough")


def test_what_another_drives_is_shown_as_it_happens_until_it_ends(folder, capsys, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()
    driver = threading.Thread(target=drive, args=(folder, begun, go_on))
    driver.start()
    assert begun.wait(300)
    looked = iter([go_on.set])

    def sleep(seconds, real=room.time.sleep):
        next(looked, lambda: None)()
        real(seconds)

    monkeypatch.setattr(room.time, "sleep", sleep)
    ended = watch(folder.path)
    driver.join(300)
    assert ended.status == "finished"
    lines = [line.partition("] ")[2] for line in capsys.readouterr().err.splitlines()]
    assert lines[0] == "running"
    assert "best val_accuracy 0.9, trial 00001 epoch 1: units 16" in lines
    assert "trial 00001 failed: ValueError: no" in lines
    assert lines[-2:] == ["finished: enough", "2/2 trials: 1 finished, 1 failed; best 0.9"]
    assert not any(line.startswith("best val_accuracy 0.5") for line in lines)


def test_a_run_that_nobody_drives_is_returned_at_once(folder, capsys):
    with RunWriter(folder) as writer:
        writer.event("run_started")
        writer.event("run_finished")
    assert watch(folder.path).status == "finished"
    assert capsys.readouterr().err == ""


def test_there_has_to_be_one(tmp_path):
    with pytest.raises(UnknownNameError):
        watch("none", tmp_path)


def test_a_folder_of_another_format_is_refused_in_one_sentence(folder):
    for number in ("1", "3", '"x"'):
        folder.manifest_file.write_text('{"format": ' + number + "}")
        for reads in (watch, read_run):
            with pytest.raises(
                RecordError, match=r"expected a run's folder of format 2\. Received"
            ):
                reads(folder.path)
