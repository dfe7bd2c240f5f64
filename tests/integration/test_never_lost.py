"""A run whose driver was killed, and two drivers that want the same run: real processes, really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field

import pytest
import yaml

from orchestrator.experiment import Run, open_run
from orchestrator.records import run_status
from orchestrator.records.lock.driver import look
from tests.integration.conftest import SPACE
from tests.integration.people import until


def command(*words: object, **options) -> subprocess.Popen:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"RAY_ADDRESS": ""}
    whole = [sys.executable, "-m", "orchestrator", *map(str, words)]
    return subprocess.Popen(whole, env=environment, **(pipes | options))


@dataclass
class Story:
    """What was seen of a run that several wanted to drive, and whose driver was killed."""

    run: Run
    driver: int
    refused: list[tuple[int, str]] = field(default_factory=list)
    untouched: bool = False
    killed: list[str] = field(default_factory=list)
    silent_since_its_last_beat: bool = False
    resumed: list[int] = field(default_factory=list)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """A run of eight trials that has recorded a few epochs: others come while it lives, and after it was killed."""
    folder = tmp_path_factory.mktemp("story")
    file, path = folder / "experiment.yaml", folder / "runs" / "one"
    experiment = {
        "name": "one", "model": "mlp", "data": "digits", "search_space": SPACE, "epochs": 12,
        "seed": 4, "storage_path": str(folder / "runs"),
        "caviar": {"num_samples": 8, "scheduler": "none", "max_concurrent_trials": 1},
    }  # fmt: skip
    file.write_text(yaml.safe_dump(experiment))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    driver = command("run", file, **quiet)
    try:
        until(lambda: (path / "epochs.jsonl").exists() and open_run(path).records.epochs)
        yield tell(Story(open_run(path), driver.pid), driver)
    finally:
        driver.kill()
        driver.wait()


def tell(story, driver):
    run = story.run
    story.killed.append(run.reload().status)
    driver.send_signal(signal.SIGSTOP)  # so that it cannot finish meanwhile: it lives all the same
    before = {file: file.read_bytes() for file in run.path.glob("*.jsonl")}
    for second in [command("resume", run.path) for _ in range(3)]:
        told = second.communicate(timeout=900)[1]
        story.refused.append((second.returncode, " ".join(told.split())))
    story.untouched = {file: file.read_bytes() for file in run.path.glob("*.jsonl")} == before

    driver.kill()
    driver.wait()
    killed = run.reload()
    story.silent_since_its_last_beat = killed.since == look(run.folder.driver_file).driver.beat
    asked = command("status", run.path, "--format", "json").communicate()[0]
    story.killed += [killed.status, json.loads(asked)["state"]]

    drivers = [command("resume", run.path) for _ in range(3)]
    story.resumed = sorted(each.wait(900) for each in drivers)
    return story


def test_two_drivers_cannot_drive_one_run(story):
    for code, told in story.refused:
        assert code == 2, told
        assert f"process {story.driver} on {os.uname().nodename} drives" in told
        assert "last heartbeat was" in told
    assert len(story.refused) == 3 and story.untouched


def test_a_killed_run_is_interrupted(story):
    assert story.killed == ["running", "interrupted", "interrupted"]
    assert story.silent_since_its_last_beat


def test_a_killed_run_is_resumed_to_its_end_by_one_of_those_who_want_to(story):
    assert story.resumed == [0, 2, 2]
    resumed = story.run.reload()
    assert resumed.status == "finished"
    curves = sorted((row["trial"], row["epoch"]) for row in resumed.records.epochs)
    assert curves == [(f"{t:05d}", e) for t in range(8) for e in range(1, 13)]
    [taken] = [e for e in resumed.records.events if e["event"] == "taken_over"]
    assert taken["from"]["pid"] == story.driver
    status = run_status(resumed.folder)
    assert (status.trials_done, status.epochs) == (8, 96)
