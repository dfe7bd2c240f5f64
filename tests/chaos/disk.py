"""A disk of 30 MB that can be filled up and freed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

MEGABYTES = 30


class Disk:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._ballast = path / "ballast"

    def fill(self) -> None:
        """Leave no byte free."""
        with self._ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            for size in (1 << 20, 1 << 12, 1):
                self._fill_by(file.fileno(), size)

    def _fill_by(self, descriptor: int, size: int) -> None:
        with contextlib.suppress(OSError):
            while True:
                os.write(descriptor, b"x" * size)

    def free(self) -> None:
        """Take the ballast away."""
        self._ballast.unlink(missing_ok=True)


def why_not() -> str | None:
    """Return why no disk can be mounted here, None where one can."""
    if os.name != "posix" or not Path("/proc/mounts").exists():
        return "a tmpfs needs Linux"
    return None if os.geteuid() == 0 else "mounting a tmpfs needs root"


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Disk]:
    """Mount one at ``path`` while the block runs. Raises OSError where the mount is refused."""
    path.mkdir(parents=True)
    options = f"size={MEGABYTES}m"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "orchestrator-chaos", str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise OSError(made.stderr.strip())
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=False)
