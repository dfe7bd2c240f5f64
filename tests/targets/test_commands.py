"""submit, status, logs, stop, fetch and jobs, as one types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.control import requests
from orchestrator.records import RunFolder, acquire, requests_of
from orchestrator.targets import TARGETS, Job, find_target, remember
from tests.cli.conftest import write_run
from tests.fortnight import MAIN, make_folder, write_fortnight
from tests.targets.places import Slurm


def call(*arguments: str):
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> Slurm:
    return Slurm(tmp_path, monkeypatch)


def test_a_dry_run_prints_what_is_prepared_and_writes_nothing(here, submission):
    before = sorted(here.rglob("*"))
    printed = call("submit", "digits.yaml", "--target", "slurm", "--dry-run")
    assert printed.stdout == find_target("slurm").prepare(submission("slurm"))
    assert "with it: net.py" in printed.stderr
    assert [path for path in sorted(here.rglob("*")) if "__pycache__" not in str(path)] == before


def test_what_is_submitted_is_what_the_dry_run_printed(here, slurm):
    printed = call("submit", "digits.yaml", "--target", "slurm", "--dry-run").stdout
    assert call("submit", "digits.yaml", "--target", "slurm").stdout == "slurm://421\n"
    assert (here / "runs" / ".jobs" / "digits" / "slurm.sh").read_text() == printed


def test_a_handle_is_all_that_the_other_commands_need(here, slurm):
    call("submit", "digits.yaml", "--target", "slurm")
    assert "slurm://421: running (RUNNING, on n1)" in call("status", "slurm://421").stdout
    assert call("logs", "slurm://421").stdout == "hello\n"
    assert [job["state"] for job in json.loads(call("jobs", "--format", "json").stdout)] == [
        "running"
    ]
    assert "slurm://421: stopped" in call("stop", "slurm://421").stdout


def test_following_a_job_ends_when_it_does(here, slurm):
    call("submit", "digits.yaml", "--target", "slurm")
    (here / "slurm-job").write_text("JobState=FAILED Reason=None ExitCode=1:0 NodeList=n1")
    followed = call("logs", "-f", "slurm://421")
    assert (followed.exit_code, followed.stdout) == (0, "hello\n")
    assert "failed (FAILED" in call("status", "slurm://421").stdout


def test_an_unknown_target_lists_those_there_are(here):
    refused = call("submit", "digits.yaml", "--target", "slrum")
    assert refused.exit_code == 2
    assert all(name in refused.stderr for name in ("Did you mean 'slurm'?", *TARGETS))


def test_an_unknown_option_of_a_target_lists_those_there_are(here):
    refused = call("submit", "digits.yaml", "--set", "target.slurm.partitoin=x")
    said = " ".join(refused.stderr.split())
    assert refused.exit_code == 2
    assert "Did you mean 'partition'? Known: account, constraint, cpus" in said


@pytest.fixture
def job_of_a_panda(here) -> Job:
    """A job of this machine whose model is in training."""
    folder = make_folder(here / "runs")
    write_fortnight(folder)
    job = Job("local", "4242", "digits", "2026", str(here / "runs"), {"started": 0})
    remember(job)
    lock = acquire(folder.driver_file)
    yield job
    lock.release()


@pytest.mark.parametrize("command", ["table", "show", "best", "compare", "days", "journal"])
def test_a_handle_stands_for_its_run_in_every_command_that_looks_at_one(job_of_a_panda, command):
    by_handle = call(command, job_of_a_panda.handle)
    assert by_handle.exit_code == 0
    assert by_handle.stdout == call(command, str(Path("runs/digits").absolute())).stdout


def test_a_panda_is_asked_by_its_job_s_handle_and_a_branch_by_its_name_too(
    job_of_a_panda, monkeypatch
):
    monkeypatch.setattr(requests, "ON_THE_WAY_SECONDS", 0.0)  # nobody is there to answer
    asked = call("set", job_of_a_panda.handle, "learning_rate=0.01", "--why", "it bounces")
    assert asked.stdout.startswith(f"asked trial {MAIN}: set learning_rate 0.01")
    assert "asked trial gentle: " in call("pause", f"{job_of_a_panda.handle}/gentle").stdout
    assert call("days", f"{job_of_a_panda.handle}/gentle").exit_code == 0
    assert len(requests_of(RunFolder.open("digits"))) == 2


def test_a_run_that_this_machine_does_not_see_is_said_to_be_fetched(here):
    remember(Job("ray", "raysubmit_1", "digits", "2026", ""))
    refused = call("table", "ray://raysubmit_1")
    assert (refused.exit_code, "'orchestrator fetch'" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("event", "word", "line"),
    [("run_interrupted", "unknown", "interrupted since"), ("run_finished", "finished", "finished")],
)
def test_a_place_that_does_not_answer_leaves_what_is_recorded(here, event, word, line):
    write_run("digits", status=event)
    gone = {"address": "http://127.0.0.1:9"}
    remember(Job("ray", "raysubmit_1", "digits", "2026", str(here / "runs"), gone))
    told = call("status", "ray://raysubmit_1")
    assert told.exit_code == 0
    assert f"ray://raysubmit_1: {word}, by its records alone" in told.stdout
    assert "Connection refused" in told.stdout
    assert line in told.stdout
    assert (
        json.loads(call("status", "ray://raysubmit_1", "--format", "json").stdout)["state"] == word
    )


def test_a_place_that_does_not_answer_is_said_where_nothing_is_recorded(here):
    remember(Job("ray", "raysubmit_1", "digits", "2026", "", {"address": "http://127.0.0.1:9"}))
    told = call("status", "ray://raysubmit_1")
    assert (told.exit_code, "Connection refused" in told.stderr) == (2, True)


def test_records_behind_a_uri_are_said_to_be_fetched(here, slurm):
    (here / "slurm-job").write_text("JobState=RUNNING Reason=None ExitCode=0:0 NodeList=n1")
    remember(Job("slurm", "421", "digits", "2026", "s3://bucket/runs"))
    assert (
        "to copy its records here: orchestrator fetch slurm://421"
        in call("status", "slurm://421").stdout
    )


def test_no_jobs_is_said_and_is_no_error(here):
    assert "no jobs" in call("jobs").stderr
    assert call("jobs", "--format", "csv").stdout.startswith("job,state,run")


def test_a_job_that_nobody_knows_cannot_be_fetched(here):
    refused = call("fetch", "slurm://99")
    assert (refused.exit_code, "'orchestrator jobs'" in refused.stderr) == (2, True)
