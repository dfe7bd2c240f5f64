from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pandas as pd
import pytest

MACHINE = ("csv", "json", "markdown", "latex")


def test_ls_lists_the_runs(cli, a_run):
    a_run("first")
    a_run("second", status="run_interrupted")
    result = cli("ls")
    assert "first" in result.stdout and "interrupted" in result.stdout
    assert result.stderr == ""


def test_ls_says_where_no_runs_are(cli):
    result = cli("ls", "--storage", "elsewhere")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no runs in elsewhere" in result.stderr


def test_show_tells_a_run_at_a_glance(cli, a_run):
    a_run("first")
    lines = cli("show", "first").stdout.splitlines()
    assert lines[0].startswith("first: finished, 3 trials, 4 epochs")
    assert "  00002 failed: ValueError: units" in lines
    assert "Winner: trial 00000, epoch 2" in lines


def test_table_has_a_row_a_trial_and_the_winner_below(cli, a_run):
    a_run("first")
    result = cli("table", "first")
    trials = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("0000")]
    assert trials == ["00000", "00001", "00002"]
    assert "Winner: trial 00000" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("format", MACHINE)
@pytest.mark.parametrize("command", ["table", "best", "compare", "ls"])
def test_a_machine_format_is_alone_on_stdout(cli, a_run, command, format):
    a_run("first")
    names = [] if command == "ls" else ["first"]
    result = cli(command, *names, "--format", format)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Winner" not in result.stdout and "wrote" not in result.stdout


def test_csv_has_every_row_and_column(cli, a_run):
    a_run("first")
    rows = list(csv.DictReader(io.StringIO(cli("table", "first", "-f", "csv").stdout)))
    assert len(rows) == 3
    assert rows[2]["error"] == "ValueError: units"


def test_the_format_follows_the_ending_of_the_file(cli, a_run):
    a_run("first")
    result = cli("table", "first", "--output", "t.parquet")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "wrote t.parquet: 3 rows, parquet\n"
    assert len(pd.read_parquet("t.parquet")) == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "cvs"], "Did you mean 'csv'"),
        (["--format", "parquet"], "expected --output FILE"),
        (["--output", "nowhere/t.csv"], "folder that exists"),
        (["--output", "."], "which is a folder"),
        (["--output", "net.py"], "expected a new file"),
        (["--output", "notes.txt", "--format", "csv"], "says csv"),
        (["--output", "runs/first/best/t.csv"], "outside of a run's folder"),
    ],
)
def test_a_table_that_cannot_be_written_is_refused(cli, a_run, options, words):
    a_run("first")
    for file in ("net.py", "notes.txt", "runs/first/best/t.csv"):
        Path(file).write_text("precious")
    result = cli("table", "first", *options)
    assert Path("net.py").read_text() == Path("notes.txt").read_text() == "precious"
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr and result.stderr.startswith("error: --")


def test_best_tells_the_winner_and_its_model(cli, a_run):
    a_run("first")
    text = cli("best", "first").stdout
    assert "Winner: trial 00000" in text
    assert "test: loss 0.2, accuracy 0.875" in text
    assert "model: runs/first/best/model.keras" in text


def test_best_in_a_format_is_the_winners_row(cli, a_run):
    a_run("first")
    [row] = json.loads(cli("best", "first", "-f", "json").stdout)
    assert row["trial"] == "00000"


def test_compare_has_a_row_a_run_in_the_order_asked(cli, a_run):
    a_run("first")
    a_run("second")
    rows = json.loads(cli("compare", "second", "runs/first", "-f", "json").stdout)
    assert [row["run"] for row in rows] == ["second", "first"]


def test_an_unknown_run_names_the_near_miss(cli, a_run):
    a_run("first")
    result = cli("show", "frist")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Did you mean 'first'?" in result.stderr


def damage(run, record, number):
    file = Path("runs", run, f"{record}.jsonl")
    lines = file.read_text().split("\n")
    lines[number - 1] = "{damaged" + lines[number - 1]
    file.write_text("\n".join(lines))


@pytest.mark.parametrize("record", ["trials", "epochs", "events"])
@pytest.mark.parametrize("command", ["table", "best", "show", "status", "ls", "compare"])
def test_a_damaged_record_is_named_once_by_file_and_line_and_the_others_are_shown(
    cli, a_run, command, record
):
    a_run("first")
    damage("first", record, 2)
    result = cli(command, *([] if command == "ls" else ["first"]))
    assert result.exit_code == 0
    assert "first" in result.stdout or "00000" in result.stdout
    [warning] = result.stderr.splitlines()
    assert warning.startswith(f"warning: runs/first/{record}.jsonl, line 2: damaged and left out.")
    assert "orchestrator repair runs/first" in warning


@pytest.mark.parametrize("format", MACHINE)
def test_a_machine_format_of_a_damaged_run_is_alone_on_stdout(cli, a_run, format):
    a_run("first")
    whole = cli("table", "first", "--format", format).stdout
    damage("first", "epochs", 2)
    result = cli("table", "first", "--format", format)
    assert result.exit_code == 0
    assert "damaged" not in result.stdout
    assert len(result.stdout.splitlines()) == len(whole.splitlines())


def test_a_line_that_an_interruption_cut_short_is_told_of_once(cli, a_run):
    a_run("first")
    with Path("runs/first/epochs.jsonl").open("ab") as file:
        file.write(b'{"trial": "0000')
    result = cli("table", "first")
    assert result.exit_code == 0
    assert result.stderr == (
        "warning: runs/first/epochs.jsonl, line 5: the last line was cut short and is left out.\n"
    )


def test_many_damaged_lines_are_one_sentence(cli, a_run):
    a_run("first", trials=9)
    for number in range(1, 8):
        damage("first", "epochs", number)
    assert "epochs.jsonl, lines 1, 2, 3, 4, 5 and 2 more: damaged" in cli("show", "first").stderr


@pytest.mark.parametrize("command", ["resume", "promote", "extend"])
def test_what_goes_on_from_a_damaged_record_is_refused(cli, a_run, command):
    a_run("first")
    damage("first", "epochs", 2)
    result = cli(command, "first")
    assert (result.exit_code, result.stdout) == (2, "")
    said = " ".join(result.stderr.split())
    assert "runs/first/epochs.jsonl, line 2: expected" in said and "orchestrator repair" in said


def test_the_model_of_a_damaged_run_is_exported(cli, a_run):
    a_run("first")
    damage("first", "epochs", 2)
    assert cli("export", "first", "--to", "m.keras").exit_code == 0


def test_export_copies_the_model_and_overwrites_when_forced(cli, a_run):
    a_run("first")
    assert cli("export", "first", "--to", "m.keras").exit_code == 0
    assert Path("m.keras").read_bytes() == b"a model"
    Path("m.keras").write_bytes(b"mine")
    refused = cli("export", "first", "--to", "m.keras")
    assert refused.exit_code == 2 and "--force" in refused.stderr
    assert Path("m.keras").read_bytes() == b"mine"
    assert cli("export", "first", "--to", "m.keras", "--force").exit_code == 0
    assert Path("m.keras").read_bytes() == b"a model"


def test_export_wants_keras_own_ending(cli, a_run):
    a_run("first")
    result = cli("export", "first", "--to", "m.h5")
    assert result.exit_code == 2 and "ending in .keras" in result.stderr


def test_export_says_when_a_run_has_no_winner(cli, a_run):
    a_run("first", status="run_interrupted")
    result = cli("export", "first", "--to", "m.keras")
    assert result.exit_code == 2 and "interrupted" in result.stderr
    assert not Path("m.keras").exists()
