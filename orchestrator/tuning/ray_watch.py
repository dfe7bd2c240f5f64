"""Watches the processes that Ray cannot live without, outside Ray's own code: where one ends, so does the driver.

Ray's code in the driver ends it by itself then, with twenty lines of its state and the exit code of a failure, at once
(its raylet) or after a minute (its GCS). Here it is told in time: an event, one sentence, the exit code of a run that
can continue.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from orchestrator.tuning.ray_internals import core_processes, gcs_address

INTERRUPTED = 130
_SHOW_CURSOR = "\x1b[?25h"
LOOK_SECONDS = 5.0
"""How often it is looked whether a cluster that was joined is there."""
MISSED = 4
"""How many looks in a row have to fail: Ray itself gives a cluster up after a minute."""


@contextlib.contextmanager
def ended_with_ray(tell: Callable[[str], object]) -> Iterator[None]:
    """End this process where Ray's core ends while the block runs, once ``tell`` has been told why.

    Nothing is watched where processes cannot be waited for (but under Linux), or where Ray is not ours to watch.
    """
    if not hasattr(os, "pidfd_open"):
        yield
        return
    processes = core_processes()
    over, told = os.pipe()
    watch = _watch_processes if processes else _watch_address
    watching = threading.Thread(target=watch, args=(processes, over, tell), daemon=True)
    watching.start()
    try:
        yield
    finally:
        os.write(told, b".")
        watching.join()
        os.close(over)
        os.close(told)


def _watch_processes(
    processes: Mapping[str, Any], over: int, tell: Callable[[str], object]
) -> None:
    """Wait for the end of the block, or of a process."""
    names = {os.pidfd_open(process.pid): name for name, process in processes.items()}
    looked = select.poll()
    for descriptor in (over, *names):
        looked.register(descriptor, select.POLLIN)
    ready = [descriptor for descriptor, _ in looked.poll()]
    for descriptor in names:
        os.close(descriptor)
    if over not in ready:
        _end(f"Ray's process {names[ready[0]]} ended", tell)


def _watch_address(processes: Mapping[str, Any], over: int, tell: Callable[[str], object]) -> None:
    """Wait for the end of the block, or of the cluster that was joined."""
    host, _, port = gcs_address().rpartition(":")
    missed = 0
    while port and not select.select([over], [], [], LOOK_SECONDS)[0]:
        try:
            socket.create_connection((host.strip("[]"), int(port)), LOOK_SECONDS).close()
            missed = 0
        except OSError:
            missed += 1
        if missed >= MISSED:
            _end(f"the Ray cluster at {host}:{port} no longer answers", tell)


def _end(reason: str, tell: Callable[[str], object]) -> None:
    """Tell, and end this process: its main thread may never return from Ray's code, which would print its state."""
    kept = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        tell(reason)
        cursor = _SHOW_CURSOR if os.isatty(kept) else ""
        os.write(kept, f"{cursor}{reason}: the run is interrupted; resume continues it\n".encode())
    finally:
        os._exit(INTERRUPTED)
