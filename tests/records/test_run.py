from __future__ import annotations

import math
import subprocess
import sys

import pytest

from orchestrator.errors import RecordError, UnknownNameError
from orchestrator.records import RunFolder, RunWriter, TrialEnd, read_run, trial_name


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "digits")
    folder.write_experiment("name: digits\nmetric: val_accuracy\nmode: max\n")
    folder.write_manifest({"seed": 0})
    return folder


def epoch(trial, number, value):
    return {"trial": trial, "epoch": number, "metrics": {"val_accuracy": value}, "seconds": 0.1}


def write_small_run(folder):
    with RunWriter(folder) as writer:
        writer.event("run_started")
        for index in range(4):
            writer.trial_started(trial_name(index), index, 7, {"learning_rate": 0.1})
        writer.epochs([epoch("00000", 1, 0.5), epoch("00001", 1, 0.5), epoch("00000", 2, 0.9)])
        writer.epochs([epoch("00001", 2, math.nan), epoch("00003", 1, math.nan)])
        writer.trial_ended(TrialEnd("00000", "finished", 1.5, parameters=100, path="compiled"))
        stop = {"scheduler": "asha", "epoch": 2, "value": 0.5, "cutoff": 0.8}
        writer.trial_ended(TrialEnd("00001", "stopped", 1.0, stopped_by=stop))
        writer.trial_ended(TrialEnd("00003", "failed", 0.2, error="ValueError: no"))


def test_a_run_is_read_back_as_it_was_written(folder):
    write_small_run(folder)
    records = read_run(folder.path)
    assert [trial.status for trial in records.trials] == [
        "finished",
        "stopped",
        "running",
        "failed",
    ]
    assert records.trials[0].parameters == 100
    assert records.trials[1].stopped_by == {
        "scheduler": "asha",
        "epoch": 2,
        "value": 0.5,
        "cutoff": 0.8,
    }
    assert records.trials[3].error == "ValueError: no"
    assert [row["epoch"] for row in records.of("00000").epochs] == [1, 2]
    assert records.manifest == {"seed": 0, "format": 2}
    assert records.epochs[0]["time"].endswith("+00:00")


def test_ranking_is_by_best_epoch_and_trials_without_one_come_last(folder):
    write_small_run(folder)
    records = read_run(folder.path)
    assert [trial.trial for trial in records.ranked] == ["00000", "00001", "00002", "00003"]
    best = records.of("00001").best
    assert (best.epoch, best.value) == (1, 0.5)
    assert records.of("00003").best is None


def test_a_trial_started_again_is_running_again(folder):
    with RunWriter(folder) as writer:
        writer.trial_started("00000", 0, 7, {})
        writer.trial_ended(TrialEnd("00000", "interrupted", 1.0))
        writer.trial_started("00000", 0, 7, {})
    (trial,) = read_run(folder.path).trials
    assert trial.status == "running"
    assert trial.seconds is None


@pytest.mark.parametrize(
    ("events", "status"),
    [
        ([], "interrupted"),
        (["run_started"], "interrupted"),
        (["run_started", "run_interrupted"], "interrupted"),
        (["run_started", "run_interrupted", "run_started"], "interrupted"),
        (["run_started", "winner", "run_finished"], "finished"),
    ],
)
def test_the_status_of_a_run_that_nobody_drives_is_its_last_event(folder, events, status):
    with RunWriter(folder) as writer:
        for event in events:
            writer.event(event, trial="00000", epoch=1)
    assert read_run(folder.path).status == status


def test_the_last_winner_counts(folder):
    with RunWriter(folder) as writer:
        writer.event("winner", trial="00001", epoch=2)
        writer.event("winner", trial="00002", epoch=3)
    winner = read_run(folder.path).winner
    assert winner is not None
    assert (winner["trial"], winner["epoch"]) == ("00002", 3)


def test_a_run_that_has_just_been_made_is_empty(folder):
    records = read_run("digits", storage=folder.path.parent)
    assert records.trials == records.epochs == records.events == ()
    assert records.seconds == 0
    assert records.winner is None


def test_the_space_is_the_one_written_inline(folder):
    assert read_run(folder.path).space is None
    folder.write_experiment('name: digits\nsearch_space: {learning_rate: "loguniform(1e-4, 1)"}\n')
    space = read_run(folder.path).space
    assert space is not None
    assert space.names == ("learning_rate",)


def test_an_unknown_run_is_refused(tmp_path):
    with pytest.raises(UnknownNameError):
        read_run(tmp_path / "none")


@pytest.mark.parametrize(
    ("file", "line", "message"),
    [
        (
            "trials_file",
            '{"event": "ended", "trial": "00001", "status": "failed", "seconds": 1,'
            ' "time": "2026-11-22T08:00:00+00:00"}',
            "line 1.*started before.*orchestrator repair",
        ),
        (
            "epochs_file",
            '{"trial": "1", "epoch": 1, "metrics": 3}',
            "line 1.*(metrics|seconds).*repair",
        ),
        ("trials_file", '{"event": "stared", "trial": "1"}', "Did you mean 'started'"),
        ("trials_file", '{"event": "started", "trial": "1"}', "line 1.*'index'"),
        ("epochs_file", '{"trial": "1"}', "line 1.*'epoch'"),
        ("manifest_file", "{", "manifest.json"),
        ("experiment_file", "[1", "experiment.yaml"),
        ("experiment_file", "7", "expected keys and values"),
    ],
)
def test_a_record_that_makes_no_sense_is_named(folder, file, line, message):
    getattr(folder, file).write_text(line + "\n")
    with pytest.raises(RecordError, match=message):
        read_run(folder.path, exact=True)


def test_the_room_loads_without_the_heavy_packages():
    code = "import sys, orchestrator.records as r; print(sorted(sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert not any(f"'{name}'" in modules for name in ("pandas", "ray", "tensorflow", "keras"))


def test_the_seconds_of_a_run_leave_out_its_pauses(folder):
    lines = [("run_started", 0), ("run_interrupted", 10), ("run_started", 40)]
    folder.events_file.write_text(
        "".join(
            f'{{"event": "{event}", "time": "2026-11-22T08:00:{second:02}.000+00:00"}}\n'
            for event, second in lines
        )
    )
    row = '{"trial": "0", "epoch": 1, "metrics": {}, "seconds": 1, "time": "2026-11-22T08:00:45.500+00:00"}\n'
    folder.epochs_file.write_text(row)
    assert read_run(folder.path).seconds == 15.5
