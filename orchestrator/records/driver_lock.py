"""The lock of one run while it is held: beaten, checked, let go of."""

from __future__ import annotations

import errno
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import LockLostError
from orchestrator.records.driver import (
    BLOCK_BYTES,
    Driver,
    Pulse,
    Sighting,
    from_block,
    look,
    now,
    to_block,
)
from orchestrator.records.lock_files import file_aside, linked

FRESH_SECONDS = 5.0
"""A lock seen to be ours so recently is believed to be: a write to the records need not look again."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class DriverLock:
    """The lock on one run, held; ``predecessor`` is the dead driver that it was taken over from."""

    def __init__(self, file: Path, driver: Driver, predecessor: Sighting | None) -> None:
        self.file = file
        self.predecessor = predecessor.driver if predecessor else None
        self._driver = driver
        self._mutex = threading.RLock()
        self._inode = self._inode_of_ours()
        self._seen = _clocks()

    @property
    def driver(self) -> Driver:
        """The driver that holds it, as of its latest heartbeat."""
        return self._driver

    def beat(self, pulse: Pulse | None = None) -> None:
        """Write down that this driver lives, and what ``pulse`` tells of its run.

        Raises LockLostError where the lock is another's by now. A disk that takes nothing is no reason to let go.
        """
        with self._mutex:
            fresh = replace(
                self._driver,
                beat=now(),
                count=self._driver.count + 1,
                pulse=pulse or self._driver.pulse,
            )
            self._write(fresh)
            self._driver, self._seen = fresh, _clocks()

    def check(self) -> None:
        """Raise LockLostError where another driver may have taken over: asked before each write to the records.

        Cheap while the heart beats. After a silence, such as a laptop's sleep, the file is looked at.
        """
        silence = max(new - old for new, old in zip(_clocks(), self._seen, strict=True))
        if silence > FRESH_SECONDS:
            self.beat()

    def release(self) -> None:
        """Let go of the run; whoever comes next need not wait. Harmless where the lock is lost."""
        with self._mutex:
            ended = replace(self._driver.pulse, state="ended", since=now(), why=None)
            try:
                self.beat(ended)
            except LockLostError:
                return

    def _write(self, driver: Driver) -> None:
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            self._put_back(driver)
            return
        except OSError:  # too many open files, a server that is away: it is asked again soon
            return
        try:
            self._check_ours(descriptor)
            os.pwrite(descriptor, to_block(driver), 0)
            os.utime(descriptor)
        except OSError as error:
            if error.errno == errno.ESTALE:  # NFS: the file behind this name is gone
                raise self._lost() from None
        finally:
            os.close(descriptor)

    def _check_ours(self, descriptor: int) -> None:
        """Raise LockLostError where another's file lies in the place of ours; a damaged one of ours is written anew."""
        found = from_block(os.pread(descriptor, 2 * BLOCK_BYTES, 0))
        facts = os.fstat(descriptor)
        ours = (
            found.token == self._driver.token
            if found
            else (facts.st_dev, facts.st_ino) == self._inode
        )
        if not ours:
            raise self._lost()

    def _put_back(self, driver: Driver) -> None:
        """Put a lock file back that someone deleted, unless someone was quicker."""
        try:
            own = file_aside(self.file.parent, driver)
        except OSError:
            return
        try:
            if not linked(own, self.file, driver):
                raise self._lost()
            self._inode = self._inode_of_ours()
        finally:
            own.unlink(missing_ok=True)

    def _inode_of_ours(self) -> tuple[int, int] | None:
        found = look(self.file)
        return found.inode if found and found.token == self._driver.token else None

    def _lost(self) -> LockLostError:
        found = look(self.file)
        by = named(found) if found else "someone who deleted the lock"
        return LockLostError(
            f"{self.file.parent.name}: this driver, process {self._driver.process.pid} on"
            f" {self._driver.process.host}, was not heard of for a while, and the run was taken over by {by}."
            " It stops here and has written nothing since."
        )


def named(seen: Sighting) -> str:
    """Return what to call a driver in a sentence."""
    if seen.driver is None:
        return "an unknown process"
    return f"process {seen.driver.process.pid} on {seen.driver.process.host}"


def _clocks() -> tuple[float, float]:
    """Return two clocks that go on while this machine sleeps, one of which goes on while it is stopped, too."""
    return time.clock_gettime(_CLOCK), time.time()
