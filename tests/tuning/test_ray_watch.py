"""A driver whose Ray ends does so, too: with an event, a sentence and the exit code of a run that can continue."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from tests.preloaded import PYTHONPATH

DRIVER = """
import subprocess, sys, time
from orchestrator.tuning import ray_internals as ray_watch

ray_watch.LOOK_SECONDS = 0.05
watched = {} if len(sys.argv) > 1 else {"raylet": subprocess.Popen(["sleep", "100"])}
ray_watch.core_processes = lambda: watched
ray_watch.gcs_address = lambda: sys.argv[1]
with ray_watch.ended_with_ray(lambda reason: print("told:", reason, flush=True)):
    print("began", flush=True)
    if sys.stdin.readline() == "kill\\n":
        watched["raylet"].kill()
        time.sleep(100)
for process in watched.values():
    process.kill()
print("went on")
"""


@pytest.fixture
def driver():
    def start(*arguments):
        return subprocess.Popen(
            [sys.executable, "-P", "-c", DRIVER, *arguments], text=True, env={**os.environ, "PYTHONPATH": PYTHONPATH},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return start


def test_it_ends_with_rays_process(driver):
    with driver() as running:
        out, err = running.communicate("kill\n", timeout=300)
    assert running.returncode == 130
    assert out == "began\ntold: Ray's process raylet ended\n"
    assert err == "Ray's process raylet ended: the run is interrupted; resume continues it\n"


def test_it_ends_with_the_cluster_that_it_joined(driver):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        running = driver(address)
        assert running.stdout.readline() == "began\n"
        listening.accept()
    with running:
        assert running.wait(300) == 130
        assert (
            f"the Ray cluster at {address} no longer answers: the run is interrupted"
            in running.stderr.read()
        )


def test_nothing_is_ended_that_ends_by_itself(driver):
    with driver() as running:
        out, _ = running.communicate("\n", timeout=300)
    assert (running.returncode, out) == (0, "began\nwent on\n")
