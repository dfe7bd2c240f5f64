"""How runs stand, and what is done about damaged records."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.records import RunFolder, acquire
from tests.drivers import dead


@pytest.fixture
def killed(a_run):
    a_run("killed", status="run_started")
    acquire(RunFolder.open("killed").driver_file, me=dead())


def test_status_tells_state_driver_progress_and_what_to_type_next(cli, killed):
    lines = cli("status", "killed").stdout.splitlines()
    assert lines[0].startswith("killed: interrupted since 20")
    assert lines[1] == "  its driver died"
    assert lines[2].startswith("  driver: none; the last one was process ")
    assert (
        lines[3] == "  progress: 3 of 3 trials done, 4 epochs; best val_accuracy 0.9, trial 00000"
    )
    assert lines[4].startswith("  worked: ") and lines[4].endswith(" GiB free")
    assert lines[5] == "  next: orchestrator resume killed continues it"


def test_ls_and_show_tell_a_killed_run_from_a_running_one(cli, killed, a_run):
    assert "interrupted" in cli("ls").stdout
    shown = cli("show", "killed").stdout
    assert "killed: interrupted," in shown and ": its driver died" in shown


def test_the_status_of_a_run_that_is_driven_names_its_driver(cli, a_run):
    a_run("going", status="run_interrupted")
    acquire(RunFolder.open("going").driver_file)
    text = cli("status", "going").stdout
    assert text.startswith("going: running since ")
    assert f"driver: process {os.getpid()} on " in text and "heartbeat " in text


def test_status_as_json_has_every_figure(cli, killed):
    facts = json.loads(cli("status", "killed", "--format", "json").stdout)
    assert (facts["state"], facts["trials_done"], facts["epochs"]) == ("interrupted", 3, 4)
    assert facts["reason"] == "its driver died"
    assert facts["since"].endswith("+00:00")
    assert facts["free_bytes"] > 0
    assert facts["next"].startswith("orchestrator resume killed")


@pytest.mark.parametrize("names", [(), ("first", "killed")])
def test_several_runs_are_a_line_each(cli, a_run, killed, names):
    a_run("first")
    lines = cli("status", *names).stdout.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [
        ["first", "finished"],
        ["killed", "interrupted"],
    ]
    assert len(json.loads(cli("status", *names, "-f", "json").stdout)) == 2


def test_where_no_runs_are_status_says_so(cli):
    result = cli("status")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no runs in runs" in result.stderr


def test_an_unknown_run_or_format_is_refused(cli, a_run):
    a_run("first")
    assert "Did you mean 'first'" in cli("status", "firts").stderr
    assert "Known: json, table" in cli("status", "--format", "csv").stderr


def test_a_path_is_kept_where_a_name_would_not_be_found(cli, a_run, tmp_path):
    a_run("first", status="run_interrupted")
    Path("runs").rename("elsewhere")
    text = cli("status", "--storage", "elsewhere", "first").stdout
    assert "orchestrator resume elsewhere/first" in text


def flip(file):
    content = bytearray(file.read_bytes())
    content[content.index(b"\n") + 20] ^= 1
    file.write_bytes(bytes(content))


def test_a_damaged_run_is_told_of_as_far_as_it_is_whole_and_how_to_repair_it(cli, a_run):
    a_run("first")
    a_run("second")
    flip(Path("runs/first/epochs.jsonl"))
    result = cli("status")
    assert [line.split()[:2] for line in result.stdout.splitlines()[2:]] == [
        ["first", "finished"],
        ["second", "finished"],
    ]
    assert result.stderr.count("runs/first/epochs.jsonl, line 2: damaged") == 1
    lines = cli("status", "first").stdout.splitlines()
    assert lines[1] == "  damaged and left out: epochs.jsonl, line 2"
    assert "  progress: 3 of 3 trials done, 3 epochs; best val_accuracy 0.89" in lines[2]
    assert lines[-1] == "  next: orchestrator repair first"


def test_a_run_whose_experiment_is_damaged_is_damaged(cli, a_run):
    a_run("first")
    Path("runs/first/experiment.yaml").write_text("[1")
    assert "damaged" in cli("status").stdout
    text = cli("status", "first").stdout
    assert "experiment.yaml" in text and "next: orchestrator repair first" in text
    assert "damaged" in cli("ls").stdout


def test_the_status_of_a_damaged_run_as_json_is_alone_on_stdout(cli, a_run):
    a_run("first")
    flip(Path("runs/first/epochs.jsonl"))
    facts = json.loads(cli("status", "first", "--format", "json").stdout)
    assert (facts["state"], facts["damage"]) == ("finished", "epochs.jsonl, line 2")
    assert facts["next"] == "orchestrator repair first"


def test_repair_says_what_it_moved_and_what_comes_next(cli, a_run):
    a_run("first")
    assert "nothing was changed" in cli("repair", "first").stdout
    flip(Path("runs/first/epochs.jsonl"))
    text = cli("repair", "first").stdout
    assert "epochs.jsonl: 1 of 4 lines moved to epochs.jsonl.damaged" in text
    assert "  line 2: expected a line that its checksum fits." in text
    assert "next: orchestrator resume first" in text
    assert cli("table", "first").exit_code == 0


def test_status_loads_neither_ray_nor_tensorflow_nor_pandas(a_run, here):
    a_run("first")
    program = """
import sys
from orchestrator.__main__ import main
sys.argv = ["orchestrator", "status"]
try:
    main()
except SystemExit as end:
    assert not end.code
heavy = {"ray", "tensorflow", "keras", "pandas", "sklearn", "pyarrow"}
print("LOADED", *sorted(sys.modules.keys() & heavy))
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=here)
    assert answer.returncode == 0, answer.stderr
    assert "first" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "LOADED"
