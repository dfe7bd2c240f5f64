from __future__ import annotations

import subprocess

import psutil
import pytest

from orchestrator.errors import PlaceError
from orchestrator.tuning.cluster import TOO_SLOW, start

FOLDER = "/a/folder/orch-of-this-test"
SLOW = Exception(f"The current node {TOO_SLOW}. This could happen because")


def waiting(*words):
    """A process that waits for a line, with these words in its command line."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(["bash", "-c", "echo here; read -r", *words], **pipes)
    process.stdout.readline()
    return process


class Ray:
    """What fails to start so many times, leaving a process behind each time."""

    def __init__(self, failures, error=SLOW):
        self.failures = failures
        self.error = error
        self.left = []

    def init(self):
        if self.failures:
            self.failures -= 1
            self.left.append(waiting("raylet", f"--session-dir={FOLDER}/session"))
            raise self.error


def test_a_start_that_took_too_long_is_made_again_and_what_it_left_is_ended():
    bystander = waiting()
    ray = Ray(failures=2)
    start(ray.init, FOLDER)
    assert not any(psutil.pid_exists(process.pid) for process in ray.left)
    assert bystander.poll() is None
    bystander.communicate(b"end\n", timeout=10)


def test_one_that_always_takes_too_long_is_one_sentence():
    with pytest.raises(PlaceError, match=r"within 30 s\. Received: 3 starts that took longer"):
        start(Ray(failures=9).init, FOLDER)


def test_any_other_error_is_raised_at_once():
    ray = Ray(failures=2, error=ConnectionError("no such cluster"))
    with pytest.raises(ConnectionError):
        start(ray.init, None)
    assert ray.failures == 1
    ray.left[0].communicate(b"end\n", timeout=10)
