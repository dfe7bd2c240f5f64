"""docker/polite_end.py, on processes of the test's own: a folder of links stands for a container's /proc."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from ray import tune

from orchestrator.tuning.worker import Worker
from tests.deployment.validators import ROOT

DRIVER = """
import pathlib, signal, sys, time
here = pathlib.Path(__file__).parent
def end(*_):
    with (here / "asked").open("a") as file: file.write("asked\\n")
    time.sleep(0.5)
    (here / "kept").touch()
    sys.exit(130)
signal.signal(signal.SIGTERM, end)
(here / "ready").touch()
time.sleep(900)
"""
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("polite_end", ROOT / "docker/polite_end.py")
    assert spec is not None and spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    folder = tmp_path / "proc"
    folder.mkdir()
    (tmp_path / "orchestrator").write_text(DRIVER)
    return folder


@pytest.fixture
def start(processes: Path) -> Iterator[Start]:
    started = []

    def begin(*command: str | Path, **how: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(command, **how)
        started.append(process)
        (processes / str(process.pid)).symlink_to(f"/proc/{process.pid}")
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def waited_for(file: Path) -> None:
    deadline = time.monotonic() + 300
    while not file.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_driver_is_asked_once_and_waited_for_and_no_one_else_is_touched(
    script, processes, start, tmp_path
):
    driver = start(sys.executable, tmp_path / "orchestrator", "run", "experiment.yaml")
    others = [
        start(sys.executable, "-c", "import time; time.sleep(900)", "orchestrator", "ls"),
        start("sh", "-c", "sleep 900; : orchestrator run experiment.yaml"),
    ]
    waited_for(tmp_path / "ready")
    script.end_politely(processes, seconds=200)
    assert (tmp_path / "kept").exists()
    assert (tmp_path / "asked").read_text() == "asked\n"
    assert driver.wait(300) == 130
    assert [each.poll() for each in others] == [None, None]


@pytest.mark.parametrize(
    "line",
    ["/opt/venv/bin/python /opt/venv/bin/orchestrator run x", "python3 -m orchestrator resume x"],
)
def test_both_ways_to_start_a_driver_are_known(script, line):
    assert script.is_driver(line.split())


@pytest.mark.parametrize(
    "line",
    ["/bin/sh -c orchestrator run x", "python -m orchestrator status", "ray::JobSupervisor", ""],
)
def test_what_is_no_driver_is_left_alone(script, line):
    assert not script.is_driver(line.split(" "))


def test_a_worker_waits_for_its_trials_but_not_for_ever(script, processes, start):
    titled = f"exec -a {script.TRIAL}.train cat"
    trial = start("bash", "-c", titled, stdin=subprocess.PIPE)
    agent = start("bash", "-c", "exec -a ray::DashboardAgent sleep 600")
    while [*script.those(script.is_trial, processes)] != [trial.pid]:
        time.sleep(0.01)  # until bash is cat
    script.end_politely(processes, seconds=0.2)
    assert trial.poll() is None
    threading.Timer(0.3, trial.stdin.close).start()
    script.end_politely(processes, seconds=3600)
    assert (trial.wait(), agent.poll()) == (0, None)


def test_a_trial_s_title_is_what_ray_makes_of_our_worker(script):
    trainable = tune.with_resources(Worker, {"cpu": 1})
    assert f"ray::{trainable.__qualname__.rpartition('.')[2]}" == script.TRIAL
