"""A driver's lock file: written aside, then given the name that only one can have."""

from __future__ import annotations

import errno
import os
import secrets
from pathlib import Path

from orchestrator.records.driver import Driver, look, to_block

_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)


def file_aside(folder: Path, driver: Driver) -> Path:
    """Return a new lock file of a driver under a name of its own, flushed."""
    file = folder / f".driver.{driver.token}.{secrets.token_hex(4)}.part"
    _write_new(file, driver)
    return file


def _write_new(file: Path, driver: Driver) -> None:
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.pwrite(descriptor, to_block(driver), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def linked(own: Path, place: Path, driver: Driver) -> bool:
    """Give our file a second name; return whether that was free. Of many that try at once one succeeds."""
    try:
        place.hardlink_to(own)
    except FileExistsError:
        # An answer lost on the way makes NFS ask twice, and the second time the name is there: ours.
        found = look(place)
        return found is not None and found.token == driver.token
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _created(place, driver)
    return True


def _created(place: Path, driver: Driver) -> bool:
    """Make the file in its place, on a file system without links."""
    try:
        _write_new(place, driver)
    except FileExistsError:
        return False
    return True
