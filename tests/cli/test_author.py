from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest


@pytest.fixture
def file(cli) -> Path:
    cli("init")
    return Path("experiment.yaml")


def test_init_writes_a_file_that_preview_takes(cli):
    assert cli("init", "mine.yaml").exit_code == 0
    assert cli("preview", "mine.yaml").exit_code == 0


def test_init_overwrites_nothing(cli):
    Path("experiment.yaml").write_text("mine")
    result = cli("init")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: init: expected a file that does not exist")
    assert Path("experiment.yaml").read_text() == "mine"


def test_preview_shows_space_draws_rungs_and_cost_in_80_columns(cli, file):
    result = cli("preview", file)
    assert (result.exit_code, result.stderr) == (0, "")
    for words in (
        "learning_rate        loguniform(1e-3, 1)",
        "Draws: the first 10 of 64, seed 0",
        "00009",
        "Rungs: ",
        "Cost: 64 trials",
        "at most       1,728 epochs",
        "expected        203 epochs (12%)",
    ):
        assert words in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_preview_writes_nothing_and_loads_no_ray_or_keras(process, file):
    before = sorted(Path().rglob("*"))
    result = process("preview", file, then="2>&1", PYTHONPROFILEIMPORTTIME="1")
    assert result.returncode == 0
    loaded = {line.rsplit("|")[-1].strip() for line in result.stdout.splitlines() if "|" in line}
    assert "pandas" in loaded
    assert loaded & {"ray", "tensorflow", "keras"} == set()
    assert sorted(Path().rglob("*")) == before


def test_preview_says_when_the_name_is_taken(cli, file, a_run):
    a_run("digits-mlp")
    assert "exists" in cli("preview", file).stdout


@pytest.mark.parametrize("scheduler", ["none", "median", "asha"])
def test_preview_knows_every_scheduler(cli, file, scheduler):
    result = cli("preview", file, "--set", f"caviar.scheduler={scheduler}")
    assert result.exit_code == 0
    assert ("Rungs: " in result.stdout) == (scheduler == "asha")
    assert ("depends on the curves" in result.stdout) == (scheduler == "median")


def test_samples_prints_the_draws_and_nothing_else(cli, file):
    result = cli("preview", file, "--samples", 70, "--format", "csv")
    assert result.stderr == ""
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["trial"] for row in rows[::69]] == ["00000", "00069"]
    assert float(rows[0]["momentum"]) + float(rows[0]["1-momentum"]) == pytest.approx(1)


def test_the_draws_follow_the_seed(cli, file):
    def draw(seed: int) -> str:
        drawn = ("--set", "caviar.points=none", "--set", f"seed={seed}")
        return cli("preview", file, "--samples", 2, "-f", "json", *drawn).stdout

    assert draw(1) == draw(1) != draw(2)
    assert len(json.loads(draw(1))) == 2


def test_a_conditional_hyperparameter_is_shown_with_its_condition(cli, file):
    space = "{optimizer: 'choice([sgd, adam])', beta_1: {when: {optimizer: adam}, domain: 0.9}}"
    result = cli("preview", file, "--set", f"search_space={space}")
    assert "when optimizer is adam" in result.stdout


def test_a_closed_pipe_is_silent(process, file):
    result = process("preview", file, "--samples", 2000, "-f", "csv", then="| head -1")
    assert result.stdout.startswith("trial,learning_rate")
    assert result.stderr == ""


def test_the_schema_is_json_alone(cli):
    result = cli("schema")
    assert json.loads(result.stdout)["properties"]["model"]
    assert result.stderr == ""
