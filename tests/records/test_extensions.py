from __future__ import annotations

import pytest

from orchestrator.records import RunFolder, RunWriter, TrialEnd, read_run, trial_name

EXTENDED = {"changes": {}, "forced": [], "group": 1, "going_on": [], "epochs_before": 0}


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path, "digits")
    folder.write_experiment("name: digits\nepochs: 3\ncaviar: {num_samples: 2, scheduler: none}\n")
    return folder


def extended(writer, **facts):
    writer.event("extended", **EXTENDED | facts)


def tell(writer, index, value, **more):
    trial = trial_name(index)
    writer.trial_started(trial, index, 7, {}, **more)
    metrics = {"val_accuracy": value}
    writer.epochs([{"trial": trial, "epoch": 1, "metrics": metrics, "seconds": 0.1}])
    writer.trial_ended(TrialEnd(trial, "finished", 1.0))


def test_the_experiment_is_that_of_the_last_extension_even_where_its_file_is_older(folder):
    changes = {"epochs": [3, 9], "caviar.num_samples": [2, 4], "panda.days": [None, 5]}
    with RunWriter(folder) as writer:
        extended(writer, changes=changes)
    assert read_run(folder.path).experiment == {
        "name": "digits",
        "epochs": 9,
        "caviar": {"num_samples": 4, "scheduler": "none"},
        "panda": {"days": 5},
    }


def test_an_extended_run_is_not_finished_and_has_no_winner_until_the_next_one(folder):
    with RunWriter(folder) as writer:
        writer.event("run_started")
        writer.event("winner", trial="00001", epoch=1)
        writer.event("run_finished")
        extended(writer)
        records = read_run(folder.path)
        assert (records.status, records.winner) == ("interrupted", None)
        writer.event("run_started")
        writer.event("winner", trial="00002", epoch=1)
        writer.event("run_finished")
    records = read_run(folder.path)
    assert (records.status, records.winner["trial"]) == ("finished", "00002")


def test_the_newest_group_comes_first_and_alone_contends(folder):
    with RunWriter(folder) as writer:
        tell(writer, 0, 0.99)
        tell(writer, 1, 0.5)
        extended(writer, group=2, forced=["metric: a -> b"])
        tell(writer, 2, 0.1, group=2)
        tell(writer, 3, float("nan"), group=2)
    records = read_run(folder.path)
    assert [trial.trial for trial in records.ranked] == ["00002", "00003", "00000", "00001"]
    assert [trial.trial for trial in records.contenders] == ["00002"]
    assert (records.state.group, records.state.groups) == (2, {2: ("metric: a -> b",)})


def test_a_plain_extension_begins_no_group(folder):
    with RunWriter(folder) as writer:
        tell(writer, 0, 0.9)
        extended(writer)
    records = read_run(folder.path)
    assert (records.state.group, records.state.groups, records.trials[0].group) == (1, {}, 1)
