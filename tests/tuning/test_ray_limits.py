"""What keeps Ray from starting or being joined is one sentence, before anything is written."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys

import pytest

from orchestrator.errors import PlaceError
from orchestrator.tuning import ray_limits
from orchestrator.tuning.ray_limits import (
    check_answers,
    check_form,
    check_ray_address,
    said_in_logs,
)
from tests.preloaded import PYTHONPATH

FILE = """
name: one
trial: ./train.py:train
metric: score
mode: max
epochs: 1
strategy: caviar
caviar: {num_samples: 1, scheduler: none}
search_space: {x: "uniform(0, 1)"}
"""


def test_limits_that_ray_cannot_start_with_are_refused_with_nothing_written(tmp_path):
    (tmp_path / "train.py").write_text("def train(hp, report):\n    report(score=1.0)\n")
    (tmp_path / "e.yaml").write_text(FILE)
    ended = subprocess.run(
        ["bash", "-c", 'ulimit -v 1000000 -f 1000 -n 64; exec "$0" -P -m orchestrator run e.yaml', sys.executable],
        cwd=tmp_path, capture_output=True, text=True, timeout=240,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "RAY_ADDRESS": ""}, check=False,
    )  # fmt: skip
    said = " ".join(ended.stderr.split())
    assert ended.returncode == 2 and said.startswith("error: ")
    for each in (
        "ulimit -v: expected at least 2 GiB of address space",
        "ulimit -f: expected at least 0.125 GiB a file",
        "ulimit -n: expected at least 512 files",
    ):
        assert each in said
    assert not (tmp_path / "runs").exists()


def test_a_temporary_folder_of_rays_that_is_not_there(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", "/no/such/folder")
    with pytest.raises(PlaceError, match="RAY_TMPDIR: expected a folder that can be written"):
        check_ray_address()


@pytest.mark.parametrize(
    "address", ["  ", "host", "host:", ":1", "host:0", "host:65536", "http://h:1", "[::1"]
)
def test_what_is_no_address(address):
    with pytest.raises(PlaceError, match="RAY_ADDRESS: expected HOST:PORT"):
        check_form(address)


@pytest.mark.parametrize(
    "address", ["auto", "local", "node1:6379", "10.0.0.1:6379", "[::1]:6379", "ray://h:10001"]
)
def test_what_may_be_one(address):
    check_form(address)


def test_one_where_something_listens_that_is_no_ray(monkeypatch):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(PlaceError, match=f"Received: '{address}: no answer in 0.5 s'"):
            check_answers(address, 0.5)


@pytest.fixture
def black_hole():
    """HOST:PORT of a socket whose queue of connections is full: the system drops whatever else comes."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_a_black_hole_is_one_sentence_in_bounded_time_with_nothing_written(black_hole, tmp_path):
    (tmp_path / "train.py").write_text("def train(hp, report):\n    report(score=1.0)\n")
    (tmp_path / "e.yaml").write_text(FILE)
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "orchestrator", "run", "e.yaml"], cwd=tmp_path, text=True, capture_output=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "RAY_ADDRESS": black_hole}, timeout=240, check=False,
    )  # fmt: skip
    expected = "expected the address of a Ray cluster that runs"
    said = " ".join(ended.stderr.split())
    assert said == f"error: RAY_ADDRESS: {expected}. Received: '{black_hole}: timed out'."
    assert (ended.returncode, ended.stdout) == (2, "")
    assert {each.name for each in tmp_path.iterdir()} == {"train.py", "e.yaml"}


def test_so_is_one_that_clients_are_to_join(black_hole, monkeypatch):
    monkeypatch.setattr(ray_limits, "CONNECT_SECONDS", 0.2)
    monkeypatch.setenv("RAY_ADDRESS", f"ray://{black_hole}")
    with pytest.raises(PlaceError, match="timed out"):
        check_ray_address()


def test_one_where_nothing_listens(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(PlaceError, match="Connection refused"):
        check_ray_address()


def test_the_line_of_rays_logs_that_says_why(tmp_path):
    logs = tmp_path / "session_latest" / "logs"
    logs.mkdir(parents=True)
    assert said_in_logs(str(tmp_path)) is None and said_in_logs(None) is None
    line = "[2026-01-01 00:00:00,1 C 7 7] (raylet) plasma.cc:12:  Check failed: ftruncate: File too large"
    (logs / "raylet.out").write_text(f"[2026 I 7 7] (raylet) main.cc:1: begins\n{line}\n")
    assert said_in_logs(str(tmp_path)) == "Check failed: ftruncate: File too large"
