"""``orchestrator submit --target docker``, on the real engine and the real image."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.docker.engine import ROOT, SOMEONE, Engine
from tests.preloaded import command_line

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def orchestrator(engine: Engine, tmp_path: Path) -> Command:
    """Our command, with a folder and a memory of jobs of its own."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command_line(*arguments),
            capture_output=True, text=True, timeout=900, cwd=tmp_path,
            env=engine.variables | {"XDG_STATE_HOME": str(tmp_path / "state"), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., None]:
    """`write(...)`: experiment.yaml, its storage a folder of someone's."""
    (tmp_path / "runs").mkdir()
    os.chown(tmp_path / "runs", SOMEONE, SOMEONE)

    def write(**keys: Any) -> None:
        file = {
            "name": "one", "model": "mlp", "data": "digits", "search_space": "mlp", "epochs": 3,
            "caviar": {"num_samples": 3}, "storage_path": str(tmp_path / "runs"),
            "target": {"docker": {"user": f"{SOMEONE}:{SOMEONE}", "memory": "4G", "network": "none"}},
        }  # fmt: skip
        (tmp_path / "experiment.yaml").write_text(yaml.safe_dump(file | keys))

    return write


def test_a_run_goes_from_submit_to_its_table_and_is_seen_from_here(orchestrator, write, tmp_path):
    (tmp_path / "net.py").write_text(
        "import keras\n"
        "def build(hp, input_shape, num_classes):\n"
        "    inputs = keras.Input(input_shape)\n"
        "    x = keras.layers.Dense(hp.get('units', 8))(keras.layers.Flatten()(inputs))\n"
        "    return keras.Model(inputs, keras.layers.Dense(num_classes, activation='softmax')(x))\n"
    )
    space = {"learning_rate": "loguniform(0.01, 0.1)", "units": "choice([8, 16])"}
    write(model="./net.py", search_space=space)
    ended = orchestrator("submit", "experiment.yaml", "--follow")
    assert ended.returncode == 0, ended.stderr
    handle = ended.stdout.strip()
    assert handle.startswith("docker://")
    assert "Winner: trial" in ended.stderr
    status = orchestrator("status", handle).stdout
    assert "finished (exited, exit code 0)" in status and "3 trials" in status
    assert "Winner: trial" in orchestrator("logs", handle).stdout
    (job,) = json.loads(orchestrator("jobs", "--format", "json").stdout)
    assert (job["job"], job["state"], job["trials_done"]) == (handle, "finished", 3)
    assert (tmp_path / "runs/one").stat().st_uid == SOMEONE
    table = json.loads(orchestrator("table", "runs/one", "--format", "json").stdout)
    assert len(table) == 3
    assert "expected a run that is not finished" in orchestrator("submit", "experiment.yaml").stderr


def test_a_stopped_run_is_interrupted_and_goes_on_when_submitted_again(
    orchestrator, write, tmp_path
):
    write(epochs=3000, caviar={"num_samples": 2, "scheduler": "none"})
    handle = orchestrator("submit", "experiment.yaml").stdout.strip()
    epochs = tmp_path / "runs/one/epochs.jsonl"
    deadline = time.monotonic() + 90
    while not (epochs.exists() and epochs.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.5)
    stopped = orchestrator("stop", handle).stdout
    assert "stopped (exited, exit code 130)" in stopped
    assert "one: interrupted" in stopped
    done = len(epochs.read_text().splitlines())
    again = orchestrator("submit", "experiment.yaml").stdout.strip()
    assert again != handle
    deadline = time.monotonic() + 90
    while len(epochs.read_text().splitlines()) <= done and time.monotonic() < deadline:
        time.sleep(0.5)
    assert len(epochs.read_text().splitlines()) > done
    orchestrator("stop", again)


def test_what_fails_in_the_container_is_said(orchestrator, write):
    write(resources={"cpu": 500})
    ended = orchestrator("submit", "experiment.yaml", "--follow")
    assert ended.returncode == 1
    assert "failed (exited, exit code 2)" in ended.stderr and "resources.cpu" in ended.stderr


def test_a_container_that_was_removed_is_lost_and_a_stranger_s_is_unknown(
    engine, orchestrator, write
):
    write(resources={"cpu": 500})
    handle = orchestrator("submit", "experiment.yaml").stdout.strip()
    engine.docker("rm", "--force", handle.removeprefix("docker://"))
    assert "lost" in orchestrator("status", handle).stdout
    assert "Received: it was removed" in " ".join(orchestrator("logs", handle).stderr.split())
    unknown = orchestrator("status", "docker://abcdefabcdef")
    assert unknown.returncode == 2
    assert "that docker does not know" in " ".join(unknown.stderr.split())


def test_an_image_that_is_not_there_is_said_in_docker_s_words(orchestrator, write):
    write(target={"docker": {"image": "localhost/no-such-image:1"}})
    ended = orchestrator("submit", "experiment.yaml")
    assert ended.returncode == 2
    assert "docker refused:" in ended.stderr and "Traceback" not in ended.stderr
