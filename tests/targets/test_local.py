"""The target local: what becomes of a process that ends while it is asked about."""

from __future__ import annotations

import subprocess

import psutil

from orchestrator.targets import local


def test_a_shell_that_ended_a_moment_ago_has_started_nothing_that_lives():
    process = subprocess.Popen(["sleep", "60"])
    seen = psutil.Process(process.pid)
    process.kill()
    process.wait()
    assert local._children(seen) == []
