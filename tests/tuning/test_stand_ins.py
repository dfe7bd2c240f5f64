"""What stands in for Ray's agents: it takes up their ports, ends with its raylet, becomes an agent that is asked."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.tuning.ray_internals import STAND_INS

UNUSED = ("dashboard_agent_listen_port", "metrics_agent_port", "metrics_export_port")
SECONDS = 60


def standing_in(folder: Path, *words: str, agent: str = "pass") -> subprocess.Popen[str]:
    there = (f"--session-dir={folder}", "--node-id=n1", "--node-ip-address=127.0.0.1")
    command = [sys.executable, "-S", "-c", agent, *there, *words]
    stand_in = [sys.executable, "-I", "-S", str(STAND_INS / "agent.py"), *command]
    pipe = subprocess.PIPE
    return subprocess.Popen(stand_in, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def port_in(folder: Path, name: str) -> int:
    """The port that the stand-in wrote down, waited for."""
    file, deadline = folder / f"{name}_n1", time.monotonic() + SECONDS
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return int(file.read_text())


def test_a_dashboards_agent_says_that_its_ports_are_not_in_use(tmp_path):
    process = standing_in(tmp_path, "--grpc-port=0")
    assert [port_in(tmp_path, name) for name in UNUSED] == [-1, -1, -1]
    process.communicate(timeout=SECONDS)


@pytest.mark.parametrize("words", [(), ("--runtime-env-agent-port=0",)])
def test_it_ends_when_its_raylet_closes_the_pipe(tmp_path, words):
    process = standing_in(tmp_path, *words, agent="print('became the agent')")
    port_in(tmp_path, "runtime_env_agent_port" if words else UNUSED[0])
    out, errors = process.communicate(timeout=SECONDS)
    assert (out, errors, process.returncode) == ("", "", 0)


def test_an_agent_that_is_asked_is_the_real_one_at_the_port_that_was_asked(tmp_path):
    process = standing_in(
        tmp_path, "--runtime-env-agent-port=0", agent="import sys; print(sys.argv[-1])"
    )
    port = port_in(tmp_path, "runtime_env_agent_port")
    socket.create_connection(("127.0.0.1", port), SECONDS).close()
    assert process.stdout is not None
    assert process.stdout.readline().strip() == f"--runtime-env-agent-port={port}"
    process.communicate(timeout=SECONDS)
