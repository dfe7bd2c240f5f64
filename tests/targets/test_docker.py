"""The target docker: the command, exactly, and what a missing client gets told. The rest runs on a real engine."""

from __future__ import annotations

import os
import shlex
from typing import Any

import pytest

from orchestrator.config.targets import DockerOptions
from orchestrator.errors import PlaceError
from orchestrator.targets import Job, Submission, docker
from tests.targets.places import Docker

SECRET = {"environment": {"LEVEL": "two words", "TOKEN": "${ENV:MY_TOKEN}"}}


def submission(options: dict[str, Any], results: str = "/somewhere/runs") -> Submission:
    read = DockerOptions.model_validate({"user": "1000:1000"} | options)
    return Submission("digits", "name: digits\n", (), read, read.storage or "", results)


def test_a_secret_s_value_stands_in_no_command(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    assert "hunter2" not in docker.prepare(submission(SECRET))


def test_a_secret_that_is_part_of_a_value_is_handed_over_in_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "hunter2")
    options = {"environment": {"PROXY": "http://ada:${ENV:MY_TOKEN}@proxy:3128"}}
    assert "--env=PROXY \\" in docker.prepare(submission(options))
    place = Docker(tmp_path, monkeypatch)
    place.executable(
        "docker",
        "import os, pathlib, sys\nif sys.argv[1] == 'run':\n"
        "    pathlib.Path(__file__).with_name('seen').write_text(os.environ['PROXY'])\n    print('c0ffee')",
    )
    user = {"user": f"{os.getuid()}:{os.getgid()}"}
    docker.submit(submission(options | user, str(tmp_path / "runs")))
    assert (tmp_path / "bin" / "seen").read_text() == "http://ada:hunter2@proxy:3128"


@pytest.mark.parametrize(("running", "state"), [("true", "running"), ("false", "lost")])
def test_a_word_that_nobody_knows_is_judged_by_whether_it_runs(
    running, state, tmp_path, monkeypatch
):
    place = Docker(tmp_path, monkeypatch)
    place.executable("docker", f'print(\'{{"Status": "stopping", "Running": {running}}}\')')
    found = docker.state(Job("docker", "abc", "digits"))
    assert (found.state, found.native) == (state, "stopping")


def test_left_out_the_user_is_this_one():
    left_out = Submission("digits", "", (), DockerOptions(), "/runs", "/somewhere/runs")
    assert f"--user={os.getuid()}:{os.getgid()}" in docker.prepare(left_out)


def test_a_secret_that_is_not_in_the_environment_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(
        PlaceError, match=r"environment\.TOKEN: expected MY_TOKEN in the environment"
    ):
        docker.submit(submission(SECRET, str(tmp_path / "runs")))
    assert not (tmp_path / "runs").exists()


def test_a_missing_client_is_one_sentence_with_how_to_get_it_and_nothing_is_written(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(PlaceError, match=r"docker: expected this command on PATH.*engine/install"):
        docker.submit(submission({}, str(tmp_path / "runs")))
    with pytest.raises(PlaceError, match="expected this command on PATH"):
        docker.state(Job("docker", "abc"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("results", "option"),
    [
        ("/plain/runs", "--volume=/plain/runs:/runs"),
        ("/a:b/runs", '--mount=type=bind,"source=/a:b/runs","target=/runs"'),
        ('/a:"b",c', '--mount=type=bind,"source=/a:""b"",c","target=/runs"'),
    ],
)
def test_a_colon_in_the_folder_of_runs_is_no_colon_of_docker_s(results, option):
    assert shlex.quote(option) in docker.prepare(submission({}, results))
