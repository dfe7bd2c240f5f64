"""The commands reevaluate and history: exit codes, JSON for programs, a page for people."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from tests.depth import further

TRAIN = """
import math
from pathlib import Path

def train(hp, report):
    best = float((Path(__file__).parent / "today.txt").read_text())
    report(1, loss=1 + (math.log10(hp["learning_rate"]) - best) ** 2)
"""
FILE = """
trial: ./train.py:train
metric: loss
mode: min
epochs: 1
search_space: {learning_rate: "loguniform(1e-8, 1)"}
caviar: {num_samples: 12, scheduler: none}
"""


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with the function and its finished run, which was moved: a copy's code is the one beside it."""
    place = tmp_path_factory.mktemp("begun")
    (place / "train.py").write_text(TRAIN)
    (place / "today.txt").write_text("-1")
    (place / "found.yaml").write_text(FILE)
    with contextlib.chdir(place):
        assert CliRunner().invoke(app, ["run", "found.yaml", "--inline"]).exit_code == 0
    return place.rename(f"{place}-moved")


@pytest.fixture
def found(begun, here):
    return shutil.copytree(begun, here, dirs_exist_ok=True)


@pytest.mark.parametrize(
    ("today", "code", "decision"),
    [("-1", 0, "keep"), further("-1.8", 10, "retune"), ("-4.5", 11, "search again")],
)
def test_the_exit_code_is_the_decision(found, cli, today, code, decision):
    (found / "today.txt").write_text(today)
    ended = cli("reevaluate", "found", "--inline", "--seeds", 2, "--format", "json")
    assert ended.exit_code == code
    assert json.loads(ended.stdout)["decision"] == decision


def test_the_page_fits_a_terminal_and_says_what_to_type(found, cli):
    (found / "today.txt").write_text("-4.5")
    page = cli("reevaluate", "found", "--inline", "--seeds", 2).stdout
    assert page.startswith("Decision: search again: ")
    assert max(map(len, page.splitlines())) <= 80
    assert len(page.splitlines()) <= 50
    assert "orchestrator run runs/found/reevaluations/001/next.yaml" in " ".join(page.split())


def test_help_names_the_exit_codes(cli):
    said = " ".join(cli("reevaluate", "--help").stdout.replace("│", " ").split())
    assert "Exit codes: 0 keep, 10 retune, 11 search again, 2 an error that you can fix" in said


def test_the_history_shows_each_one_and_the_trend(found, cli):
    assert "no re-evaluation yet" in cli("history", "found").stdout
    for today in ("-1", "-1.1", "-1.2"):
        (found / "today.txt").write_text(today)
        cli("reevaluate", "found", "--inline", "--seeds", 2)
    shown = cli("history", "found").stdout
    assert "retrained incumbent: loss" in shown
    assert "over 3 re-evaluations" in " ".join(shown.split())
    rows = json.loads(cli("history", "found", "--format", "json").stdout)
    assert [row["number"] for row in rows] == [1, 2, 3]
    assert rows[0]["now"] < rows[2]["now"]


def test_an_unknown_run_is_one_error_that_one_can_fix(cli):
    ended = cli("reevaluate", "nothing")
    assert ended.exit_code == 2
    assert ended.stderr.startswith("error: ")
