"""The real Dockerfile, built by a real engine, on a stand-in for its base image."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.integration.docker.engine import IMAGE, SOMEONE, Engine


@pytest.fixture(scope="module")
def about(engine: Engine) -> dict[str, Any]:
    (found,) = json.loads(engine.docker("image", "inspect", IMAGE))
    return found


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder of someone's, and the way to it."""
    folder = tmp_path / "runs"
    folder.mkdir()
    os.chown(folder, SOMEONE, SOMEONE)
    return folder


def test_the_default_command_runs_the_digits_into_the_mounted_folder_as_its_owner(
    engine, default_run
):
    assert "Winner: trial" in default_run.table
    run = default_run.runs / "digits-mlp"
    assert len((run / "trials.csv").read_text().splitlines()) == 65
    assert (run / "best/model.keras").is_file()
    assert {path.stat().st_uid for path in run.rglob("*")} == {SOMEONE}
    # Repeated, it shows the finished run and trains nothing.
    before = (run / "epochs.jsonl").read_bytes()
    assert engine.docker(*default_run.command) == default_run.table
    assert (run / "epochs.jsonl").read_bytes() == before


def test_a_folder_that_it_may_not_write_is_refused_in_one_sentence(engine, runs):
    ended = engine.run("docker", "run", "--rm", f"--volume={runs}:/runs", IMAGE)
    assert ended.returncode == 2
    assert "cannot be written to" in ended.stderr and "Traceback" not in ended.stderr


def test_it_is_no_root_has_a_volume_a_health_check_and_labels(about):
    config = about["Config"]
    assert config["User"] == "10001:10001"
    assert "/runs" in config["Volumes"]
    assert config["Healthcheck"]["Test"] == ["CMD", "healthy"]
    assert config["Labels"]["orchestrator.tensorflow"] == "cpu"
    assert config["Labels"]["org.opencontainers.image.version"]


def test_it_holds_no_setting_of_the_build_s_package_index(engine):
    engine.docker("run", "--rm", IMAGE, "sh", "-c", "! [ -s /etc/pip.conf ]")
    layers = engine.docker("history", "--no-trunc", IMAGE)
    assert "index-url" not in layers


def test_it_is_smaller_than_ray_and_tensorflow_would_make_it(about):
    assert about["Size"] < 2_300_000_000


def test_a_user_without_a_name_can_start_a_node_of_ray_on_a_read_only_root(engine):
    engine.docker(
        "run", "--rm", "--read-only", "--tmpfs=/tmp", "--tmpfs=/home/orchestrator:mode=1777",
        f"--user={SOMEONE}:{SOMEONE}", "--env=RAY_AUTH_MODE=token", "--env=RAY_AUTH_TOKEN=" + 64 * "a",
        IMAGE, "sh", "-c", "ray start --head --num-cpus=0 && ray health-check",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("host", "state", "code"), [("me", "running", 1), ("another", "running", 0), ("me", "ended", 0)]
)
def test_its_health_check_complains_of_a_run_of_its_own_that_fell_silent(
    engine, runs, host, state, code
):
    driver = runs / "digits" / "driver.json"
    driver.parent.mkdir()
    driver.write_text(json.dumps({"host": host, "state": state}))
    os.utime(driver, (1, 1))
    ended = engine.run(
        "docker", "run", "--rm", "--hostname=me", f"--volume={runs}:/runs", IMAGE, "healthy"
    )
    assert ended.returncode == code
    assert ("digits: no beat for" in ended.stdout) == (code == 1)
