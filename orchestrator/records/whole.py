"""Files that are either whole or absent: written aside, flushed, then renamed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_NO_FLUSHING = (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems that cannot flush a folder say to it: some of FUSE, CIFS."""


class DiskFull(OSError):
    """A file did not fit: ``bytes_needed`` is its size. What stood there before still stands, whole."""

    def __init__(self, path: Path, bytes_needed: int) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        self.bytes_needed = bytes_needed

    def __reduce__(self) -> tuple[type[DiskFull], tuple[Path, int]]:
        return (DiskFull, (Path(str(self.filename)), self.bytes_needed))


def is_full(error: OSError) -> bool:
    """Return whether an error says that the disk, or the user's share of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Put ``content`` (text as UTF-8) at ``path`` so that no reader ever sees half of it.

    Raises DiskFull where it does not fit.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    data = content.encode() if isinstance(content, str) else content
    try:
        aside.unlink(missing_ok=True)  # of a process of that number that was killed
        with aside.open("xb") as file:  # new, so that nothing a link leads to is written
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise (DiskFull(path, len(data)) if is_full(error) else error) from None
    finally:
        aside.unlink(missing_ok=True)
    _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSHING:
            raise
    finally:
        os.close(descriptor)
