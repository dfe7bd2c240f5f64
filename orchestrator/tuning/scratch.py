"""Temporary folders that go with the process that made them: at a later start, where it was killed."""

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

from orchestrator.records.process import ProcessIdentity, lives, this_process

OWNER = "owner.json"


@contextlib.contextmanager
def scratch_folder(prefix: str, place: str | None = None) -> Iterator[str]:
    """Have a folder below ``place`` (the temporary one) while the block runs; those of the dead are removed first."""
    where = Path(place or tempfile.gettempdir())
    for folder in sorted(where.glob(f"{prefix}*")):
        if _is_orphan(folder):
            with contextlib.suppress(OSError):  # another driver that starts removes it too
                _remove(folder)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=where, ignore_cleanup_errors=True) as own:
        Path(own, OWNER).write_text(json.dumps(asdict(this_process())), encoding="utf-8")
        yield own


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
