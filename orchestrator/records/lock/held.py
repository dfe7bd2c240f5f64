"""The lock of one run while it is held: beaten, checked, let go of."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import LockLostError
from orchestrator.records.lock.driver import (
    BLOCK_BYTES,
    STALE_SECONDS,
    Driver,
    Pulse,
    Sighting,
    file_aside,
    from_block,
    linked,
    look,
    now,
    to_block,
)

FRESH_SECONDS = 5.0
"""A lock seen to be ours so recently is believed to be: a write to the records need not look again."""
UNSEEN_SECONDS = STALE_SECONDS / 2
"""So long one that cannot be looked at is believed to be: nobody takes it from a driver silent for so short a time."""
PATIENCE_SECONDS = 600.0
LOOK_AGAIN_SECONDS = 1.0
"""How long, and how often, a lock is looked at that was unseen for longer, before its driver gives it up."""
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
            began = _clocks()
            fresh = replace(
                self._driver,
                beat=now(),
                count=self._driver.count + 1,
                pulse=pulse or self._driver.pulse,
            )
            if self._write(fresh):
                self._seen = began
            self._driver = fresh

    def check(self) -> None:
        """Raise LockLostError where another driver may have taken over: asked before each write to the records.

        Cheap while the heart beats. After a silence, such as a laptop's sleep, the file is looked at. Where that
        cannot be done, on a server that is away, it waits before another driver may have taken over: for ten minutes.
        """
        if self._silence() <= FRESH_SECONDS:
            return
        self.beat()
        end = time.monotonic() + PATIENCE_SECONDS
        while self._silence() > UNSEEN_SECONDS:
            if time.monotonic() > end:
                raise self._unseen()
            time.sleep(LOOK_AGAIN_SECONDS)
            self.beat()

    def release(self) -> None:
        """Let go of the run; whoever comes next need not wait. Harmless where the lock is lost."""
        with self._mutex:
            ended = replace(self._driver.pulse, state="ended", since=now(), reason=None)
            try:
                self.beat(ended)
            except LockLostError:
                return

    def _silence(self) -> float:
        """Return the seconds since the lock was last seen to be ours."""
        return max(new - old for new, old in zip(_clocks(), self._seen, strict=True))

    def _write(self, driver: Driver) -> bool:
        """Write a heartbeat; return whether the file was seen to be ours, be the disk too full for more."""
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            return self._put_back(driver)
        except OSError:  # too many open files, a server that is away: it is asked again soon
            return False
        ours = False
        try:
            self._check_ours(descriptor)
            ours = True
            try:
                os.pwrite(descriptor, to_block(driver), 0)
            finally:  # a full disk may take as much as this
                os.utime(descriptor)
        except OSError as error:
            if error.errno == errno.ESTALE:  # NFS: the file behind this name is gone
                raise self._lost() from None
        finally:
            with contextlib.suppress(OSError):  # NFS: what it did not write
                os.close(descriptor)
        return ours

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

    def _put_back(self, driver: Driver) -> bool:
        """Put a lock file back that someone deleted; return whether it lies there. Raises where someone was quicker."""
        try:
            own = file_aside(self.file.parent, driver)
            try:
                ours = linked(own, self.file, driver)
            finally:
                own.unlink(missing_ok=True)
            self._inode = self._inode_of_ours()
        except OSError:
            return False
        if not ours:
            raise self._lost()
        return True

    def _inode_of_ours(self) -> tuple[int, int] | None:
        found = look(self.file)
        return found.inode if found and found.token == self._driver.token else None

    def _lost(self) -> LockLostError:
        found = None
        with contextlib.suppress(OSError):
            found = look(self.file)
        by = named(found) if found else "someone who deleted the lock"
        return self._gone(f"and the run was taken over by {by}.")

    def _unseen(self) -> LockLostError:
        return self._gone(
            f"since {self.file} cannot be looked at; another may have taken the run over."
        )

    def _gone(self, why: str) -> LockLostError:
        return LockLostError(
            f"{self.file.parent.name}: this driver, process {self._driver.process.pid} on"
            f" {self._driver.process.host}, was not heard of for a while, {why}"
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
