from __future__ import annotations

import json

import pytest

FILE = """\
model: mlp
data: digits
search_space: {learning_rate: "loguniform(1e-3, 1)", units: "choice([8, 16])"}
epochs: 2
caviar: {num_samples: 6, scheduler: {asha: {}}}
"""


@pytest.fixture
def table(here):
    (here / "one.yaml").write_text(FILE)
    rows = ["config,epoch,val_accuracy,seconds,learning_rate,units"]
    for config in range(12):
        rate, units = 10 ** (-config / 4 - 0.1), (8, 16)[config % 2]
        rows += [
            f"{config},{epoch},{0.05 * config + 0.1 * epoch},1.5,{rate},{units}" for epoch in (1, 2)
        ]
    file = here / "curves.csv"
    file.write_text("\n".join(rows) + "\n")
    return file


def test_simulate_tells_times_and_what_became_of_trials_in_80_columns(cli, table):
    result = cli("simulate", "one.yaml", "--table", table, "--workers", "2", "--seeds", "5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "12 configurations of up to 2 epochs" in result.stdout.replace("\n  ", " ")
    assert "99th" in result.stdout and "of 5" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_simulate_writes_nothing(cli, table, here):
    before = sorted(here.rglob("*"))
    cli("simulate", "one.yaml", "--table", table, "--seeds", "1")
    assert sorted(here.rglob("*")) == before


def test_json_is_alone_on_stdout_and_has_what_the_text_has(cli, table):
    result = cli("simulate", "one.yaml", "--table", table, "--seeds", "3", "--format", "json")
    found = json.loads(result.stdout)
    assert found["configurations"] == 12 and found["seeds"] == 3
    assert [each["percentile"] for each in found["targets"]] == [95.0, 99.0]
    assert sum(found["endings"].values()) == 6


def test_set_changes_what_is_simulated(cli, table):
    asked = ["simulate", "one.yaml", "--table", table, "--seeds", "2", "-f", "json"]
    every = json.loads(cli(*asked, "--set", "caviar.scheduler=none").stdout)
    assert every["endings"] == {"finished": 6.0} and every["epochs"]["median"] == 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--table", "none.csv"], "--table: expected a file. Received: 'none.csv'."),
        (["--table", "curves.csv", "--set", "epochs=9"], "expected 9 epochs of each"),
        (["--table", "curves.csv", "--seeds", "0"], "seeds: expected a whole number from 1 on"),
        (["--table", "curves.csv", "--between", "row"], "Did you mean 'rows'?"),
        (["--table", "curves.csv", "--format", "xml"], "--format: expected a format"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_one_block(cli, table, arguments, said):
    result = cli("simulate", "one.yaml", *arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert said in " ".join(result.stderr.split())


def test_a_runs_curves_are_a_table(cli, a_run, here):
    a_run("first")
    assert cli("table", "first", "--curves", "-o", "curves.csv").exit_code == 0
    header = (here / "curves.csv").read_text().splitlines()[0].split(",")
    assert header[0] == "config" and {"epoch", "seconds", "val_accuracy"} <= set(header)


def test_whatif_says_what_the_records_cannot_tell(cli, a_run):
    a_run("first")
    result = cli("whatif", "first", "--set", "epochs=9")
    assert result.exit_code == 0, result.stderr
    assert "were to go on where their records end" in " ".join(result.stdout.split())
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert cli("whatif", "first").exit_code == 2
