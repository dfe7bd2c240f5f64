"""A real Ray cluster on loopback with its Jobs API and a token; docs/targets/ray.md on it, command by command."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.records import read_run
from tests.pages import environment, run_page
from tests.preloaded import command_line

HOST, PORT = "127.0.0.2", 28265  # those of the page; Ray turns 127.0.0.1 into another address
PATIENCE_SECONDS = 900
MINE = """\
model: ./net.py
data: {source: ./t.csv, label: y}
search_space: {learning_rate: "loguniform(1e-3, 1)", units: "choice([8, 16])"}
epochs: 2500
caviar: {num_samples: 4, scheduler: none, max_concurrent_trials: 1}
target: {ray: {address: "http://127.0.0.2:28265", token: "${ENV:RAY_CLUSTER_TOKEN}"}}
"""
NET = """\
import keras
from parts import hidden


def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = hidden(hp["units"])(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))
"""
PARTS = "import keras\n\n\ndef hidden(units):\n    return keras.layers.Dense(units, activation='relu')\n"
TABLE = "a,b,y\n" + "".join(f"{i % 3 + i % 7 / 9},{i % 5},{i % 3}\n" for i in range(240))


def answers() -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, PORT)) == 0


@pytest.fixture(scope="module")
def token() -> Iterator[str]:
    """The token of a cluster that runs."""
    pytest.importorskip("aiohttp_cors", reason="pip install 'orchestrator[ray-jobs]'")
    if answers():
        pytest.skip(f"something else listens at {HOST}:{PORT}")
    folder = Path(tempfile.mkdtemp(prefix="rj-", dir="/tmp"))
    secret = secrets.token_hex(32)
    own = environment(folder, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secret)
    own |= {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    head = subprocess.Popen(
        [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2",
         f"--node-ip-address={HOST}", "--port=26279", f"--dashboard-host={HOST}",
         f"--dashboard-port={PORT}", "--dashboard-agent-listen-port=0", f"--temp-dir={folder}/r"],
        env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not answers():
            assert head.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.5)
        yield secret
    finally:
        head.send_signal(signal.SIGTERM)
        try:
            head.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(head.pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def orchestrator(folder: Path, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command_line(*arguments), cwd=folder, capture_output=True, text=True,
        env=environment(folder, RAY_CLUSTER_TOKEN=token), timeout=PATIENCE_SECONDS,
    )  # fmt: skip


def test_the_page_does_what_it_says(token, tmp_path):
    run_page("targets/ray.md", tmp_path, one_by_one=True, RAY_CLUSTER_TOKEN=token)
    records = read_run(tmp_path / "copies" / "digits")
    assert (records.status, len(records.trials)) == ("finished", 8)
    assert token not in "".join(file.read_text() for file in (tmp_path / "state").rglob("*.jsonl"))


def test_ones_own_model_and_data_go_along_and_a_stopped_job_goes_on(token, tmp_path):
    files = {"mine.yaml": MINE, "net.py": NET, "parts.py": PARTS, "t.csv": TABLE}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    first = orchestrator(tmp_path, token, "submit", "mine.yaml")
    assert first.returncode == 0, first.stderr
    epochs = tmp_path / "runs" / "mine" / "epochs.jsonl"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (epochs.exists() and epochs.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.5)
    stopped = orchestrator(tmp_path, token, "stop", first.stdout.strip())
    assert ": stopped" in stopped.stdout, stopped.stderr
    assert read_run(tmp_path / "runs" / "mine").status == "interrupted"
    second = orchestrator(tmp_path, token, "submit", "mine.yaml", "--follow")
    assert second.returncode == 0, second.stderr
    records = read_run(tmp_path / "runs" / "mine")
    assert (records.status, len(records.trials)) == ("finished", 4)


def test_a_wrong_token_is_one_sentence(token, tmp_path):
    (tmp_path / "d.yaml").write_text(MINE.replace("./net.py", "mlp"))
    (tmp_path / "t.csv").write_text(TABLE)
    refused = orchestrator(tmp_path, "not-the-token", "submit", "d.yaml")
    said = " ".join(refused.stderr.split())
    assert (refused.returncode, "expected this cluster's token" in said) == (2, True)
