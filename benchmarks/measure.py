"""One command's wall time, start-up and shutdown included, and the peak memory of its process tree.

Imports nothing heavy: the watcher shares two cores with what it watches.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

INTERVAL_SECONDS = 0.5
PSS_EVERY = 4  # smaps_rollup walks page tables: every 2 s
MEGABYTE = 1024 * 1024
TIMED_OUT = 124


@dataclass(frozen=True)
class Measured:
    """What one command took. RSS counts shared pages once a process, PSS once in all."""

    exit_code: int
    seconds: float
    peak_rss_mb: float
    peak_pss_mb: float | None


def watch(
    command: Sequence[str], log: Path, *, timeout_seconds: float, env: Mapping[str, str]
) -> Measured:
    """Run ``command`` with its output in ``log``; its tree is ended at the time limit."""
    peak_rss, peak_pss, ticks = 0.0, 0.0, 0
    with log.open("wb") as output:
        start = time.perf_counter()
        child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
        timed_out = False
        while not ended_meanwhile(child):
            family = tree(child.pid)
            peak_rss = max(peak_rss, sum(map(rss_mb, family)))
            if ticks % PSS_EVERY == 0:
                peak_pss = max(peak_pss, sum(map(pss_mb, family)))
            ticks += 1
            if time.perf_counter() - start > timeout_seconds and not timed_out:
                timed_out = True
                end(family)
        seconds = time.perf_counter() - start
    return Measured(
        exit_code=TIMED_OUT if timed_out else child.returncode,
        seconds=round(seconds, 3),
        peak_rss_mb=round(peak_rss, 1),
        peak_pss_mb=round(peak_pss, 1) if peak_pss else None,
    )


def ended_meanwhile(child: subprocess.Popen[bytes]) -> bool:
    """Wait for one interval; return whether the process ended in it."""
    try:
        child.wait(INTERVAL_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def tree(pid: int) -> list[psutil.Process]:
    """Return the process and all that descend from it, as far as they still live."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def rss_mb(process: psutil.Process) -> float:
    """Return resident memory, 0 for a process that just ended."""
    try:
        return float(process.memory_info().rss) / MEGABYTE
    except psutil.Error:
        return 0.0


def pss_mb(process: psutil.Process) -> float:
    """Return proportional memory, 0 where the system does not tell it."""
    try:
        return float(getattr(process.memory_full_info(), "pss", 0)) / MEGABYTE
    except psutil.Error:
        return 0.0


def end(family: Sequence[psutil.Process]) -> None:
    """End these processes: first asked, after five seconds forced."""
    for process in family:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    for process in psutil.wait_procs(family, timeout=5)[1]:
        process.kill()
