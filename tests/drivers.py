"""Drivers that are dead, far away or silent, as a run's lock shows them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

from orchestrator.records.lock.driver import ProcessIdentity, this_process

FAR = ProcessIdentity("far", 7, 1.0, "another boot", "another namespace")


def dead() -> ProcessIdentity:
    """A process of this machine that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return replace(this_process(), pid=process.pid)


def silent(file: Path, seconds: float = 120) -> None:
    """Have a lock not been beaten for so long, by the file server's clock."""
    facts = file.stat()
    os.utime(file, (facts.st_atime - seconds, facts.st_mtime - seconds))


def only_the_lock(file: Path) -> bool:
    return [found.name for found in file.parent.iterdir()] == [file.name]
