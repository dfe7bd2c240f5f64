from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import mkdtemp

import psutil
import pytest
from ray._private.utils import validate_socket_filepath

from orchestrator.errors import PlaceError
from orchestrator.tuning.cluster import OPEN_BY_RAY, TOO_SLOW, start
from orchestrator.tuning.scratch import LONGEST_PLACE

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
    bystander.communicate(b"end\n", timeout=300)


def test_one_that_always_takes_too_long_is_one_sentence():
    with pytest.raises(PlaceError, match=r"within 30 s\. Received: 3 starts that took longer"):
        start(Ray(failures=9).init, FOLDER)


def test_any_other_error_is_raised_at_once():
    ray = Ray(failures=2, error=ConnectionError("no such cluster"))
    with pytest.raises(ConnectionError):
        start(ray.init, None)
    assert ray.failures == 1
    ray.left[0].communicate(b"end\n", timeout=300)


def test_the_longest_place_leaves_room_for_the_names_of_rays_sockets(tmp_path):
    """As Ray names them, with the longest process number of Linux."""
    place = "/" + (LONGEST_PLACE - 1) * "p"
    own = f"{place}/{Path(mkdtemp(prefix='orch-', dir=tmp_path)).name}/{OPEN_BY_RAY}"
    session = "session_2026-11-28_02-03-19_982744_4194304"
    validate_socket_filepath(f"{own}/{session}/sockets/plasma_store")
