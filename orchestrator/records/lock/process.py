"""Who a process is, so that another one can tell later, and from elsewhere, whether it still lives."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import psutil

_DEAD = ("Z", "X")


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one boot of one machine.

    ``process_started`` tells it from a later process of the same number: seconds since the boot under
    Linux, where no change of the clock moves them, else since 1970. ``boot_id`` and ``pid_namespace``
    are empty where a system has none.
    """

    host: str
    pid: int
    process_started: float
    boot_id: str = ""
    pid_namespace: str = ""


def this_process() -> ProcessIdentity:
    """Return who this process is."""
    return ProcessIdentity(
        host=platform.node(),
        pid=os.getpid(),
        process_started=_started(os.getpid()) or 0.0,
        boot_id=_boot_id(),
        pid_namespace=_pid_namespace(),
    )


def lives(process: ProcessIdentity) -> bool | None:
    """Return whether a process lives; None where that cannot be seen from here: another machine, say."""
    here = (_boot_id(), _pid_namespace())
    if not all(here) or (process.boot_id, process.pid_namespace) != here:
        return None
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is there, and another user's
        pass
    started = _started(process.pid)
    if started is None:
        return None if psutil.pid_exists(process.pid) else False
    return started == process.process_started


def _started(pid: int) -> float | None:
    """Return when a process began; 0 for one that has ended, None where that cannot be seen."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        # The name, in parentheses, may hold anything: proc_pid_stat(5). Field 3 follows it.
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        return 0.0 if fields[0] in _DEAD else int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        pass
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""
