"""The target local: what becomes of a process that ends while it is asked about."""

from __future__ import annotations

import subprocess

import psutil
import pytest

from orchestrator.targets import local
from tests.targets.places import Local


def test_a_shell_that_ended_a_moment_ago_has_started_nothing_that_lives():
    process = subprocess.Popen(["sleep", "60"])
    seen = psutil.Process(process.pid)
    process.kill()
    process.wait()
    assert local._children(seen) == []


@pytest.fixture
def job(tmp_path, monkeypatch, submission):
    """A job in its first moment: its shell may not have started anything."""
    Local(tmp_path, monkeypatch)
    return local.submit(submission("local"))


def test_a_job_has_a_log_from_its_first_moment(job):
    assert "".join(local.logs(job, follow=False)) in ("", "hello\n")
    local.stop(job)


def test_a_job_is_stopped_in_its_first_moment(job, monkeypatch):
    monkeypatch.setattr(local, "POLITE_SECONDS", 20)
    local.stop(job)
    assert local.state(job).state == "stopped"
