#!/opt/venv/bin/python
"""A Pod's preStop: interrupt the drivers in it, as Ctrl-C would, and wait until they and the trials in it have ended.

KubeRay stops no job before it takes a cluster away, and Kubernetes then ends head and workers at once. A driver needs
its workers to keep the state of their trials, so a worker waits for its trials as the head waits for its driver.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

SECONDS = 80  # less than the Pod's terminationGracePeriodSeconds, after which everything is killed
TRIAL = "ray::ResourceTrainable"  # how Ray titles the process in which Tune trains
TRAINING = ("run", "resume", "extend")
Words = list[str]


def is_driver(words: Words) -> bool:
    """Return whether a command line is ``orchestrator run`` itself, and not the shell that Ray wraps around it."""
    asked = [(Path(one).name, other) for one, other in pairwise(words[1:4])]
    ours = any(name == "orchestrator" and command in TRAINING for name, command in asked)
    return ours and "python" in Path(words[0]).name


def is_trial(words: Words) -> bool:
    """Return whether a process trains."""
    return words[0].startswith(TRIAL)


def those(wanted: Callable[[Words], bool], processes: Path) -> Iterator[int]:
    """Yield the processes whose command lines are wanted."""
    for entry in processes.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            line = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            if wanted(line.split("\0")):
                yield int(entry.name)


def end_politely(processes: Path = Path("/proc"), seconds: float = SECONDS) -> None:
    """Ask each driver once (a second time means at once), and wait for ``seconds`` at most."""
    deadline = time.monotonic() + seconds
    for driver in those(is_driver, processes):
        with contextlib.suppress(OSError):
            os.kill(driver, signal.SIGTERM)
    at_work = lambda words: is_driver(words) or is_trial(words)  # noqa: E731
    while any(those(at_work, processes)) and time.monotonic() < deadline:
        time.sleep(0.2)


if __name__ == "__main__":
    end_politely()
