"""The stopwatch and the memory of a process tree."""

from __future__ import annotations

import os
import sys

import psutil

HOLD = "import time; block = b'1' * (80 << 20); time.sleep(1.3)"


def test_memory_of_a_child_of_the_command_is_counted(tmp_path):
    import measure

    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLD!r}])"
    took = measure.watch(
        [sys.executable, "-c", script], tmp_path / "log", timeout_seconds=30, env=os.environ
    )
    assert took.exit_code == 0 and took.seconds > 1.3 and took.peak_rss_mb > 80


def test_at_the_time_limit_the_command_and_its_children_are_ended(tmp_path):
    import measure

    script = (
        "import subprocess, sys; child = subprocess.Popen(['sleep', '60']);"
        "print(child.pid, flush=True); child.wait()"
    )
    log = tmp_path / "log"
    took = measure.watch([sys.executable, "-c", script], log, timeout_seconds=1, env=os.environ)
    assert took.exit_code == measure.TIMED_OUT and took.seconds < 10
    assert not psutil.pid_exists(int(log.read_text().split()[0]))
