"""Temporary folders that go with the process that made them: at a later start, where it was killed.

So do the processes that it started there: Ray's agents outlive a driver that was killed by up to a minute, and make
their folders anew where those are gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import psutil

from orchestrator.records.lock.driver import ProcessIdentity, lives, this_process

OWNER = "owner.json"
ROUNDS = 3
PREFIXES = ("orch-", "orchestrator-tune-")
"""What the names of our folders begin with."""

LONGEST_PLACE = 27
"""Bytes of a path below which Ray's sockets still have names that Linux takes: 107 bytes, most of them Ray's own."""


def short_temporary_folder() -> str:
    """Return where Ray's files go: its sockets' paths, below it, may not exceed some hundred characters."""
    asked = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    return asked if len(os.fsencode(asked)) <= LONGEST_PLACE else "/tmp"  # noqa: S108


@contextlib.contextmanager
def scratch_folder(prefix: str, place: str | None = None) -> Iterator[str]:
    """Have a folder below ``place`` (the temporary one) while the block runs; those of the dead are removed first."""
    where = Path(place or tempfile.gettempdir())
    for folder in sorted(where.glob(f"{prefix}*")):
        if _is_orphan(folder):
            end_processes_in(str(folder))
            with contextlib.suppress(OSError):  # another driver that starts removes it too
                _remove(folder)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where, ignore_cleanup_errors=True) as own:
        Path(own, OWNER).write_text(json.dumps(asdict(this_process())), encoding="utf-8")
        yield own


def end_processes_in(folder: str) -> None:
    """End what Ray has started in ``folder`` and forgotten, and what that starts meanwhile."""
    for _ in range(ROUNDS):
        ended = processes_in(folder)
        for process in ended:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(ended, timeout=5)
        if not ended:
            return


def left_by_the_dead(place: str | None = None) -> list[Path]:
    """Return the folders of ours below ``place`` whose processes are gone; the next start removes them."""
    where = Path(place or tempfile.gettempdir())
    found = (folder for prefix in PREFIXES for folder in where.glob(f"{prefix}*"))
    return sorted(folder for folder in found if _is_orphan(folder))


def processes_in(folder: str) -> list[psutil.Process]:
    """Return what Ray has started in ``folder`` and is there."""
    return [process for process in psutil.process_iter() if _is_of(folder, process)]


def _is_of(folder: str, process: psutil.Process) -> bool:
    """Return whether a process is Ray's there: by its command line, or by its logs where Ray gives it a title."""
    try:
        words = process.cmdline() if process.pid != os.getpid() else []
        if any(f"{folder}/" in word for word in words):
            return True
        titled = any(word.startswith("ray::") for word in words[:1])
        return titled and any(each.path.startswith(f"{folder}/") for each in process.open_files())
    except psutil.Error:
        return False


def _remove(folder: Path) -> None:
    """Remove a folder, who owned it last: what still writes there may leave something for another start."""
    for child in folder.iterdir():
        if child.name != OWNER:
            shutil.rmtree(child, ignore_errors=True)
            if not child.is_dir() or child.is_symlink():
                child.unlink(missing_ok=True)
    if [child.name for child in folder.iterdir()] == [OWNER]:
        shutil.rmtree(folder, ignore_errors=True)


def _is_orphan(folder: Path) -> bool:
    """Return whether a folder is ours, and who made it surely dead: seen from the same boot and PID namespace."""
    try:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            return False
        owner = ProcessIdentity(**json.loads((folder / OWNER).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return False
    return lives(owner) is False
