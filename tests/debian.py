"""Debian packages that tests of services need: installed where that is asked for by a variable, and nowhere else."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orchestrator-tests"
INSTALL = "ORCHESTRATOR_TEST_INSTALL"
PATH = f"/usr/sbin:/usr/bin:/sbin:/bin:{os.environ['PATH']}"
"""Debian's own programs first: another docker may lack what builds."""


def why_not(packages: Mapping[str, str]) -> str | None:
    """Return why programs are not here, after installing what is missing where ORCHESTRATOR_TEST_INSTALL=1 says so.

    ``packages`` are the package of each program, which is a command or a file by its full path.
    """
    missing = sorted({package for tool, package in packages.items() if not _there(tool)})
    if not missing:
        return None
    names = " ".join(missing)
    if os.environ.get(INSTALL) != "1":
        return (
            f"needs {names}: install them, or set {INSTALL}=1 to let the tests do it (Debian, root)"
        )
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return f"needs {names}, and {INSTALL}=1 installs them for root on Debian alone"
    _install(missing)
    return None


def _install(packages: list[str]) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with (CACHE / "apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the other process of pytest-xdist may install too
        for words in (["update"], ["install", "--yes", "--no-install-recommends", *packages]):
            command = ["apt-get", "--quiet", *words]
            subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL, env=quiet)


def _there(tool: str) -> bool:
    return Path(tool).exists() if tool.startswith("/") else bool(shutil.which(tool, path=PATH))
