"""A run whose driver was killed, and two drivers that want the same run: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import yaml

from orchestrator.experiment import open_run
from orchestrator.records import run_status
from orchestrator.records.lock.driver import look
from tests.integration.conftest import SPACE
from tests.integration.people import until


def command(*words: object, **options) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"RAY_ADDRESS": ""}
    whole = [sys.executable, "-m", "orchestrator", *map(str, words)]
    return subprocess.Popen(whole, env=environment, **(pipes | options))


@pytest.fixture
def begun(tmp_path):
    """A run of eight trials that has recorded a few epochs, and its driver."""
    file, path = tmp_path / "experiment.yaml", tmp_path / "runs" / "one"
    experiment = {
        "name": "one", "model": "mlp", "data": "digits", "search_space": SPACE, "epochs": 12,
        "seed": 4, "storage_path": str(tmp_path / "runs"),
        "caviar": {"num_samples": 8, "scheduler": "none"},
    }  # fmt: skip
    file.write_text(yaml.safe_dump(experiment))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    driver = command("run", file, **quiet)
    try:
        until(lambda: (path / "epochs.jsonl").exists() and open_run(path).records.epochs, 120)
        yield open_run(path), driver
    finally:
        driver.kill()
        driver.wait()


def curves(run):
    rows = run.records.epochs
    return sorted((row["trial"], row["epoch"]) for row in rows)


def test_a_killed_run_is_interrupted_and_is_resumed_to_its_end(begun):
    run, driver = begun
    assert run.reload().status == "running"
    driver.kill()
    driver.wait()
    killed = run.reload()
    assert killed.status == "interrupted"
    assert killed.since == look(run.folder.driver_file).driver.beat
    asked = command("status", run.path, "--format", "json")
    assert json.loads(asked.communicate()[0])["state"] == "interrupted"

    ended = command("resume", run.path)
    told = ended.communicate(timeout=240)[1]
    assert ended.returncode == 0, told
    resumed = run.reload()
    assert resumed.status == "finished"
    assert curves(resumed) == [(f"{t:05d}", e) for t in range(8) for e in range(1, 13)]
    [taken] = [e for e in resumed.records.events if e["event"] == "taken_over"]
    assert taken["from"]["pid"] == driver.pid
    status = run_status(run.folder)
    assert (status.trials_done, status.epochs) == (8, 96)


def test_two_drivers_cannot_drive_one_run(begun):
    run, driver = begun
    driver.send_signal(
        signal.SIGSTOP
    )  # stopped, so that it cannot finish meanwhile: it lives all the same
    before = {file: file.read_bytes() for file in run.path.glob("*.jsonl")}
    drivers = [command("resume", run.path) for _ in range(3)]
    for second in drivers:
        told = " ".join(second.communicate(timeout=120)[1].split())
        assert second.returncode == 2, told
        assert f"process {driver.pid} on {os.uname().nodename} drives" in told
        assert "last heartbeat was" in told
    assert {file: file.read_bytes() for file in run.path.glob("*.jsonl")} == before

    driver.kill()
    driver.wait()
    drivers = [command("resume", run.path) for _ in range(3)]
    codes = sorted(each.wait(240) for each in drivers)
    assert codes == [0, 2, 2]
    assert run.reload().status == "finished"
    assert [e["event"] for e in run.reload().records.events].count("taken_over") == 1
