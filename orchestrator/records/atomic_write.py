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


def lies_below(error: OSError, folder: Path) -> bool:
    """Return whether an error is about a file or folder below ``folder``, or about that itself."""
    home = os.path.realpath(folder)
    named = (os.path.realpath(os.fsdecode(name)) for name in _names_in(error))
    return any(name == home or name.startswith(home + os.sep) for name in named)


def _names_in(error: OSError) -> list[str | bytes]:
    return [name for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]


def made(folder: Path) -> Path:
    """Return a folder, made if it is missing. Its parent must exist, so that no run's folder is made by accident.

    A run's own folders may be missing: copies lose empty ones (git, zip, ``rsync -m``), and people delete what takes
    room. So nothing relies on them.
    """
    folder.mkdir(exist_ok=True)
    return folder


def write_atomically(path: Path, content: str | bytes, twin: Path | None = None) -> None:
    """Put ``content`` (text as UTF-8) at ``path`` so that no reader ever sees half of it; then at its ``twin`` too.

    Raises DiskFull where it does not fit, and any other OSError with a path: Python has none for a failed flush.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    # A file name that is no UTF-8 has lone surrogates; JSON and YAML read their escapes back.
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    try:
        aside.unlink(missing_ok=True)  # of a process of that number that was killed
        with aside.open("xb") as file:  # new, so that nothing a link leads to is written
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
        if twin is not None:
            put_too(path, twin)
    except OSError as error:
        if is_full(error):
            raise DiskFull(path, len(data)) from None
        raise OSError(error.errno, error.strerror, error.filename or str(path)) from None
    finally:
        aside.unlink(missing_ok=True)
    flush_folder(path.parent)


def put_too(path: Path, twin: Path) -> None:
    """Have a file of the same folder, which is replaced and never changed, under another name too, or a copy of it."""
    aside = twin.with_name(f".{twin.name}.{os.getpid()}.part")
    try:
        aside.unlink(missing_ok=True)
        os.link(path, aside)
        aside.replace(twin)
    except OSError:  # a filesystem without links
        write_atomically(twin, path.read_bytes())
    finally:
        aside.unlink(missing_ok=True)  # replaced by itself it stays


def flush_folder(folder: Path) -> None:
    """Make what was renamed in a folder survive a power cut, where the file system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSHING:
            raise
    finally:
        os.close(descriptor)
