from __future__ import annotations

import pytest

from orchestrator.records import RunFolder, RunWriter


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--num-samples", "3"], "--num-samples 3: expected more than the 3 there are"),
        (["--epochs", "two"], "--epochs two: expected a new total, or a number to add"),
        (["--days", "+2"], "--days +2: expected an option that extends a caviar"),
        (["--scheduler", "ahsa"], "Did you mean 'asha'?"),
        (["--set", "seed=3"], "seed: expected what the run began with, 0"),
        ([], "expected something to change, such as --num-samples +64"),
        (["--set", "metric=val_loss", "--set", "mode=min"], "metric: val_accuracy -> val_loss"),
    ],
)
def test_what_is_no_extension_is_one_block_and_exit_2(cli, a_run, options, said):
    a_run("digits")
    records = {file: file.read_bytes() for file in RunFolder.open("digits").path.glob("*.*")}
    refused = cli("extend", "digits", *options)
    assert refused.exit_code == 2
    assert said in " ".join(refused.stderr.split())
    assert all(file.read_bytes() == was for file, was in records.items() if file.suffix != ".json")


def test_an_unknown_run_is_refused(cli):
    assert "expected a run's name" in cli("extend", "none", "--epochs", "+1").stderr


@pytest.fixture
def two_groups(a_run):
    a_run("digits")
    with RunWriter(RunFolder.open("digits")) as writer:
        changes = {"metric": ["val_accuracy", "val_f1"], "caviar.num_samples": [3, 4]}
        writer.event("extended", changes=changes, forced=["metric: val_accuracy -> val_f1"],
                     group=2, going_on=[], epochs_before=4)  # fmt: skip
        writer.trial_started("00003", 3, 3, {"learning_rate": 0.1, "units": 32}, group=2)
        metrics = {"val_f1": 0.125, "loss": 1.0}
        writer.epochs([{"trial": "00003", "epoch": 1, "metrics": metrics, "seconds": 0.1}])


def test_groups_are_marked_in_tables_and_said_in_a_line(cli, two_groups):
    table = cli("table", "digits", "--format", "csv").stdout.splitlines()
    assert table[0].startswith("trial,group,status,best_val_f1")
    assert [line[:7] for line in table[1:]] == ["00003,2", "00000,1", "00001,1", "00002,1"]
    shown = cli("show", "digits").stdout
    assert "extended: metric val_accuracy -> val_f1, caviar.num_samples 3 -> 4" in shown
    line = "Group 2 (1 trial) cannot be compared with group 1: metric: val_accuracy -> val_f1."
    assert line in " ".join(shown.split())
    assert "Best so far: trial 00003" in shown
    epochs = cli("best", "digits").stdout
    assert "Best so far: trial 00003" in epochs


def test_the_epochs_table_tells_groups_apart(two_groups):
    from orchestrator.experiment import open_run

    epochs = open_run("digits").epochs()
    assert epochs.groupby("trial")["group"].first().to_dict() == {
        "00000": 1, "00001": 1, "00003": 2,
    }  # fmt: skip
    assert open_run("digits").best.trial == "00003"


def test_a_run_of_one_group_has_no_such_column(cli, a_run):
    a_run("digits")
    assert "group" not in cli("table", "digits", "--format", "csv").stdout
    assert "Group" not in cli("show", "digits").stdout
