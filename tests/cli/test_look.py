"""Rows and columns that people ask for, one trial's curve, and runs removed."""

from __future__ import annotations

import csv
import io
import json
import multiprocessing
from pathlib import Path

import pytest

import orchestrator
from orchestrator.records import RunFolder, acquire


def there():
    return sorted(entry.name for entry in Path("runs").iterdir())


def rows_of(result):
    assert result.exit_code == 0, result.stderr
    return list(csv.DictReader(io.StringIO(result.stdout)))


def test_the_table_has_the_rows_and_columns_that_were_asked_for(cli, a_run):
    a_run("first", trials=5)
    rows = rows_of(
        cli("table", "first", "--top", 2, "--columns", "learning_rate,trial", "-f", "csv")
    )
    assert [list(row) for row in rows] == [["learning_rate", "trial"]] * 2
    assert [row["trial"] for row in rows] == ["00000", "00001"]


@pytest.mark.parametrize(
    ("sort", "first"),
    [("learning_rate", "00004"), ("-learning_rate", "00000"), ("val_accuracy", "00000"),
     ("-val_accuracy", "00003"), ("best_val_accuracy", "00000")],
)  # fmt: skip
def test_a_metric_is_sorted_best_first_and_anything_else_from_the_smallest(cli, a_run, sort, first):
    a_run("first", trials=5)
    rows = rows_of(cli("table", "first", "--sort", sort, "-f", "csv"))
    assert (rows[0]["trial"], len(rows)) == (first, 5)


def test_trials_without_a_value_come_last_whichever_way_it_is_sorted(cli, a_run):
    a_run("first", trials=4)
    for sort in ("val_accuracy", "-val_accuracy"):
        assert rows_of(cli("table", "first", "--sort", sort, "-f", "csv"))[-1]["trial"] == "00003"


def test_a_metric_beside_the_judged_one_is_its_value_in_the_best_epoch(cli, a_run):
    a_run("first")
    [row, *_] = json.loads(cli("table", "first", "--columns", "trial,loss", "-f", "json").stdout)
    assert row == {"trial": "00000", "loss": 1.0}


def test_people_see_curves_and_what_is_the_same_in_all_once(cli, a_run):
    a_run("first")
    text = cli("table", "first").stdout
    assert "curve" in text and "▂" in text.replace("▁", "▂")
    assert "the same in all: units 32, " in text
    head = text.split("─")[0]
    assert "units" not in head and "learning" in head


def test_programs_get_no_curves_and_every_column(cli, a_run):
    a_run("first")
    [row, *_] = rows_of(cli("table", "first", "-f", "csv"))
    assert "units" in row and "curve" not in row


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--columns", "trial,curv"], "Did you mean 'curve'"),
        (["--sort", "lerning_rate"], "Did you mean 'learning_rate'"),
        (["--sort", "curve"], "whose values can be sorted"),
        (["--columns", "curve", "-f", "csv"], "no column curve in a format for programs"),
        (["--curves", "--top", "3"], "expected none of --top"),
        (["--top", "0"], "should be greater than or equal to 1"),
    ],
)
def test_a_column_that_is_not_there_is_refused(cli, a_run, options, words):
    a_run("first")
    result = cli("table", "first", *options)
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in " ".join(result.stderr.split())


def test_a_trial_is_shown_with_its_curve_by_its_name_or_number(cli, a_run):
    a_run("first")
    text = cli("show", "first/00001").stdout
    assert text.startswith("first/00001: finished, 2 epochs in 1 s\n")
    assert "best val_accuracy: 0.89, epoch 2 (2 of 2)" in text
    assert "0.89 ┤" in text and "0.84 ┤" in text
    assert cli("show", "runs/first/1").stdout == text


def test_a_failed_trial_says_why_and_an_unknown_one_is_refused(cli, a_run):
    a_run("first")
    assert "failed: ValueError: units" in cli("show", "first/00002").stdout
    result = cli("show", "first/00009")
    assert result.exit_code == 2 and "Known: 00000, 00001, 00002" in result.stderr


def test_rm_removes_a_run_and_nothing_else(cli, a_run):
    a_run("first")
    a_run("second")
    Path("runs/notes.txt").write_text("mine")
    result = cli("rm", "first", "--yes")
    assert result.stdout.splitlines()[-1] == "removed runs/first"
    assert there() == ["notes.txt", "second"]


def test_rm_asks_and_does_nothing_where_nobody_can_answer(cli, a_run):
    a_run("first")
    result = cli("rm", "first")
    assert result.exit_code == 2 and "--yes" in result.stderr
    assert Path("runs/first/manifest.json").parent.is_dir()


def with_manifest(name):
    folder = RunFolder(Path("runs", name))
    folder.write_manifest({})
    return folder


@pytest.mark.parametrize("made", ["notes.txt", "mine/x.txt"])
def test_a_folder_in_which_something_of_ones_own_lies_is_not_removed(cli, a_run, made):
    a_run("first")
    file = with_manifest("first").path / made
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    for arguments in (["rm", "first", "--yes"], ["rm", ".", "--yes"]):
        Path("experiment.yaml").write_text("mine")
        assert cli(*arguments).exit_code == 2
    assert file.read_text() == Path("experiment.yaml").read_text() == "mine"


def test_a_run_that_is_being_driven_is_neither_removed_nor_overwritten(cli, a_run):
    a_run("first")
    folder = with_manifest("first")
    lock = acquire(folder.driver_file)
    try:
        result = cli("rm", "first", "--yes")
    finally:
        lock.release()
    assert result.exit_code == 2 and "nobody drives" in result.stderr
    assert folder.path.is_dir()
    assert cli("rm", "first", "--yes").exit_code == 0


def train(hp, report):
    report(1, loss=hp["rate"])


def told(**changes):
    keys = {"trial": train, "metric": "loss", "search_space": {"rate": "uniform(0, 1)"}}
    return keys | {"caviar": {"num_samples": 1}} | changes


QUIETLY = {"executor": "inline", "progress": False}


def test_overwrite_replaces_a_run_and_only_then(cli):
    first = orchestrator.run(told(name="one"), **QUIETLY)
    with pytest.raises(orchestrator.errors.RunExistsError, match="--overwrite"):
        orchestrator.run(told(name="one", seed=7), **QUIETLY)
    assert first.reload().records.experiment["seed"] == 0
    second = orchestrator.run(told(name="one", seed=7), overwrite=True, **QUIETLY)
    assert second.records.experiment["seed"] == 7
    assert there() == ["one"]


def test_what_is_refused_leaves_the_run_that_was_to_be_overwritten(cli):
    first = orchestrator.run(told(name="one"), **QUIETLY)
    with pytest.raises(orchestrator.errors.ExperimentFileError):
        orchestrator.run(told(name="one", metric="lss"), overwrite=True, **QUIETLY)
    assert first.reload().status == "finished"


def test_numbered_runs_take_the_next_number():
    names = [orchestrator.run(told(name="auto"), **QUIETLY).name for _ in range(2)]
    Path("runs/experiment-9").mkdir()
    names.append(orchestrator.run(told(name="auto"), **QUIETLY).name)
    assert names == ["experiment-1", "experiment-2", "experiment-10"]


def _start(number):
    return orchestrator.run(told(name="auto", seed=number), **QUIETLY).name


def test_two_starts_at_once_get_two_numbers():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        names = pool.map(_start, range(4), chunksize=1)
    assert sorted(names) == [f"experiment-{number}" for number in (1, 2, 3, 4)]


def test_a_numbered_run_cannot_be_one_that_is_found_again():
    with pytest.raises(orchestrator.errors.ExperimentFileError, match="name: auto"):
        orchestrator.run(told(name="auto"), or_resume=True, **QUIETLY)


HEAVY = {
    *("ray", "tensorflow", "keras", "scipy", "sklearn", "optuna", "jinja2", "pyarrow", "pandas"),
    *("numpy", "orchestrator.config.options", "orchestrator.search", "orchestrator.training"),
}


@pytest.mark.parametrize(
    ("command", "may"),
    [
        (["--help"], set()),
        (["status", "first"], set()),
        (["ls"], set()),
        (["table", "first"], {"numpy", "pandas", "pyarrow", "orchestrator.search"}),
        (["show", "first"], {"numpy", "orchestrator.search"}),
        (["history", "first"], {"numpy", "orchestrator.search"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_short_command_loads_what_it_needs_alone(a_run, process, command, may):
    a_run("first")
    asked = process(*command, PYTHONPROFILEIMPORTTIME="1")
    assert asked.returncode == 0, asked.stderr
    loaded = {line.rpartition("|")[2].strip() for line in asked.stderr.splitlines()}
    assert "orchestrator.cli.app" in loaded
    assert loaded & HEAVY <= may
