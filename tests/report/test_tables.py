from __future__ import annotations

import subprocess
import sys

import pandas as pd

from orchestrator.analysis import diagnose
from orchestrator.records import RunFolder, RunWriter, read_run
from orchestrator.report import (
    compare_table,
    epochs_table,
    legend,
    runs_table,
    trials_table,
    write_csvs,
)


def row_of(frame, trial):
    return frame[frame["trial"] == trial].iloc[0]


def test_the_best_trial_comes_first_and_those_without_a_value_last(run):
    table = trials_table(run)
    assert list(table["trial"][:3]) == ["00000", "00001", "00002"]
    assert list(table["trial"][-2:]) == ["00009", "00010"]
    assert list(table["status"][-3:]) == ["stopped", "failed", "diverged"]


def test_a_row_tells_best_and_last_epoch_apart(run):
    row = row_of(trials_table(run), "00001")
    assert (row["best_val_accuracy"], row["best_epoch"]) == (0.89, 2)
    assert (row["last_val_accuracy"], row["epochs"]) == (0.79, 3)


def test_the_columns_stand_in_order_and_one_minus_momentum_follows_momentum(run):
    assert list(trials_table(run).columns) == [
        *("trial", "status", "best_val_accuracy", "best_epoch", "last_val_accuracy", "epochs"),
        *("seconds", "stopped_by", "at_edge", "parameters"),
        *("learning_rate", "momentum", "1-momentum", "units", "optimizer"),
        *("path", "failure", "attempts", "error", "error_file"),
    ]


def test_a_stopped_trial_says_by_whom_and_against_what(run):
    assert row_of(trials_table(run), "00008")["stopped_by"] == "asha at epoch 1: 0.51 < 0.83"


def test_a_failed_trial_keeps_its_error_and_where_it_lies(run):
    row = row_of(trials_table(run), "00009")
    assert row["error"].startswith("ValueError: a | b")
    assert row["error_file"] == "logs/00009.txt"


def test_whole_numbers_stay_whole_where_some_are_missing(run):
    table = trials_table(run)
    assert table["parameters"].dtype == table["units"].dtype == "Int64"
    assert "1000.0" not in table.to_csv()


def test_only_the_three_leading_of_eleven_trials_are_looked_at_for_edges(run):
    table = trials_table(run)
    assert list(table["at_edge"][:3]) == ["learning_rate high"] * 3
    assert table["at_edge"][3:].isna().all()


def test_the_hint_names_the_end_that_the_best_share(run):
    assert [each.says for each in diagnose(run)] == [
        "the best 3 sit at the high end of learning_rate (1): widen it",
    ]


def test_a_run_without_an_inline_space_has_no_edges(run, write_experiment):
    write_experiment(run.folder, search_space="mlp")
    records = read_run(run.folder.path)
    assert diagnose(records) == ()
    assert trials_table(records)["at_edge"].isna().all()


def test_a_smaller_loss_is_better_where_the_mode_is_min(run, write_experiment):
    write_experiment(run.folder, metric="val_accuracy", mode="min")
    table = trials_table(read_run(run.folder.path))
    assert table["best_val_accuracy"].iloc[0] == 0.5
    assert "0.51 > 0.83" in row_of(table, "00008")["stopped_by"]


def test_a_hyperparameter_named_like_a_column_does_not_replace_it(run):
    with RunWriter(run.folder) as writer:
        writer.trial_started("00011", 11, 0, {"epochs": 9})
    table = trials_table(read_run(run.folder.path))
    row = row_of(table, "00011")
    assert (row["epochs"], row["hyperparameter_epochs"]) == (0, 9)
    assert row["status"] == "running"


def test_every_column_has_a_legend():
    assert all(text.endswith(".") for text in legend("val_loss").values())
    assert "best_val_loss" in legend("val_loss")


def test_the_epochs_table_has_one_row_an_epoch(run):
    table = epochs_table(run)
    assert list(table.columns) == ["trial", "epoch", "val_accuracy", "loss", "seconds", "time"]
    assert len(table) == 8 * 3 + 1 + 1
    assert list(table["epoch"][:3]) == [1, 2, 3]


def test_comparing_runs_shows_scores_and_hyperparameters(
    run, tmp_path, write_experiment, write_trial
):
    other = RunFolder.create(tmp_path / "runs", "other")
    write_experiment(other)
    with RunWriter(other) as writer:
        write_trial(writer, 1, [0.7])
    table = compare_table([run, read_run(other.path)])
    assert list(table["run"]) == ["digits", "other"]
    assert list(table["best"]) == [0.9, 0.7]
    assert list(table["trials"]) == [11, 1]
    assert table["test"][0] == 0.88888
    assert pd.isna(table["test"][1])
    assert list(table["optimizer"]) == ["sgd", "adam"]


def test_the_list_of_runs_survives_a_damaged_one(run, tmp_path, write_experiment):
    broken = RunFolder.create(tmp_path / "runs", "broken")
    write_experiment(broken)
    broken.manifest_file.write_text("{")
    table = runs_table(tmp_path / "runs").set_index("run")
    assert table.loc["broken", "status"] == "damaged"
    assert table.loc["digits", "status"] == "finished"
    assert (table.loc["digits", "trials_done"], table.loc["digits", "trials"]) == (11, 12)
    assert table.loc["digits", "started"].endswith("Z")


def test_tables_of_nothing_are_empty_but_have_their_columns(tmp_path, write_experiment):
    folder = RunFolder.create(tmp_path, "empty")
    write_experiment(folder)
    records = read_run(folder.path)
    assert len(trials_table(records)) == 0
    assert "best_val_accuracy" in trials_table(records).columns
    assert len(epochs_table(records)) == 0
    assert len(compare_table([records])) == 1
    assert "run" in runs_table(tmp_path / "nowhere").columns


def test_the_csvs_hold_the_tables(run):
    write_csvs(run, run.folder.path)
    trials = pd.read_csv(run.folder.path / "trials.csv", dtype={"trial": str})
    assert list(trials["trial"]) == list(trials_table(run)["trial"])
    assert trials["learning_rate"][0] == 1.0
    assert len(pd.read_csv(run.folder.path / "epochs.csv")) == len(run.epochs)


def test_the_room_loads_without_pandas():
    code = "import sys, orchestrator.report; print('pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
