"""A run in rounds, from its file to its records: what it says of them, and that it resumes and extends."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from typer.testing import CliRunner

import orchestrator
from orchestrator.cli import app
from orchestrator.cli.preview_text import preview_text
from orchestrator.domains import Space
from orchestrator.errors import RecordError
from orchestrator.experiment import extend, open_run, preview, resume, run
from orchestrator.records import read_run
from orchestrator.search.plan import findings_of
from tests.depth import in_depth
from tests.experiment.test_function_trials import QUIETLY, cut_off, facts

MINE = """
import math
def train(hp, report):
    for epoch in range(1, 4):
        report(epoch, val_loss=abs(math.log10(hp["rate"]) + 2) + 1 / epoch)
"""
KEYS = {
    "name": "fn", "trial": "./mine.py:train", "metric": "val_loss", "epochs": 3,
    "search_space": {"rate": "loguniform(1e-4, 1)", "units": "choice([8, 16])"},
    "caviar": {"num_samples": 48, "rounds": 3, "scheduler": "none", "finalists": False},
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("rounds")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "mine.py").write_text(MINE)
        run(KEYS, **QUIETLY)
    return folder


@pytest.fixture(autouse=True)
def here(finished, tmp_path, monkeypatch):
    shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path / "copy"


def cli(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def began(records):
    return [event for event in records.events if event["event"] == "round_began"]


def test_the_records_say_how_each_range_moved_and_why():
    first, second = began(open_run("fn").records)
    assert (first["round"], first["first"], first["trials"]) == (2, 16, 16)
    rate, units = first["findings"]["rate"], first["findings"]["units"]
    assert rate["move"] == "narrowed" and rate["before"] == "loguniform(1e-4, 1)"
    assert rate["now"] == first["space"]["rate"] == second["findings"]["rate"]["before"]
    assert units["move"] == "kept" and units["why"]


@pytest.mark.parametrize("over", in_depth([5, 16, 17, 40], 5, 17))
def test_a_run_that_was_cut_off_goes_on_to_the_same_records(here, over):
    whole = read_run(here / "runs" / "fn")
    cut_off(here / "runs" / "fn", 3 * over, 2 * over)
    file = here / "runs" / "fn" / "events.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    begun = [line for line in lines if '"round_began"' in line][: (over - 1) // 16]
    file.write_text("".join([line for line in lines if '"round_began"' not in line] + begun))
    again = resume("fn", **QUIETLY).records
    assert facts(again) == facts(whole)
    plain = [{k: v for k, v in event.items() if k != "time"} for event in began(whole)]
    assert [{k: v for k, v in event.items() if k != "time"} for event in began(again)] == plain


def test_more_trials_are_one_more_round():
    done = extend("fn", num_samples="+16", **QUIETLY)
    last = began(done.records)[-1]
    assert (last["round"], last["first"], last["trials"]) == (4, 48, 16)
    assert len(done.records.trials) == 64


def test_the_table_has_a_column_for_the_round():
    frame = open_run("fn").table()
    assert sorted(frame["round"]) == [1] * 16 + [2] * 16 + [3] * 16
    assert "round" in cli("table", "fn").stdout


def test_a_run_of_one_round_has_none(here):
    run({**KEYS, "name": "one", "caviar": {"num_samples": 3}}, **QUIETLY)
    assert "round" not in open_run("one").table()
    assert "no further round has begun" in cli("rounds", "one").stdout


def test_rounds_prints_how_ranges_moved_in_80_columns():
    said = cli("rounds", "fn").stdout
    assert "Round 2: 16 trials" in said and "rate: narrowed: loguniform(1e-4, 1) -> " in said
    assert max(map(len, said.splitlines())) <= 80


def test_rounds_as_json_and_from_python_are_the_same_rows():
    rows = json.loads(cli("rounds", "fn", "--format", "json").stdout)
    assert rows == json.loads(orchestrator.open_run("fn").rounds().to_json(orient="records"))
    assert [(row["round"], row["hyperparameter"]) for row in rows] == [
        (2, "rate"),
        (2, "units"),
        (3, "rate"),
        (3, "units"),
    ]


def test_narrow_writes_the_next_runs_space(here):
    result = cli("narrow", "fn", "--output", "next.yaml")
    assert result.exit_code == 0 and result.stdout == ""
    assert "rate: " in result.stderr and "wrote next.yaml" in result.stderr
    keys = {**KEYS, "name": "two", "search_space": "./next.yaml"}
    (here / "two.yaml").write_text(yaml.safe_dump(keys))
    seen = preview("two.yaml")
    assert seen.space == Space.parse(open_run("fn").narrow().search_space)


def test_narrow_prints_yaml_alone_on_stdout():
    result = cli("narrow", "fn")
    assert Space.parse(yaml.safe_load(result.stdout)).names == ("rate", "units")
    assert max(map(len, result.stderr.splitlines())) <= 80


def test_narrow_proposes_from_a_run_without_rounds_what_a_second_round_would_be(here):
    caviar = {**KEYS["caviar"], "num_samples": 16, "rounds": 1}
    run({**KEYS, "name": "one", "caviar": caviar}, **QUIETLY)
    proposed = open_run("one").narrow()
    [second, _] = began(open_run("fn").records)
    assert proposed.search_space == second["space"]
    assert list(proposed.findings) == list(findings_of(second))


def test_narrow_refuses_a_run_that_was_drawn_from_nothing(here, tmp_path):
    file = here / "runs" / "fn" / "experiment.yaml"
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "strategy": "panda"}))
    with pytest.raises(RecordError, match="expected a run of strategy caviar"):
        open_run("fn").narrow()


def test_a_preview_shows_the_rounds():
    text = preview_text(preview({**KEYS, "name": "three"}), 80)
    assert "Rounds: 3, of 16, 16, 16 trials" in text
    assert "Draws: the first 10 of 48" in text and "Cost: 48 trials" in text


def test_show_names_the_rounds():
    assert "rounds: 3, of 16, 16, 16 trials" in cli("show", "fn").stdout
