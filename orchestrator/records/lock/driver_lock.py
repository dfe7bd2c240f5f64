"""The lock of one run: taken, beaten and checked while it is held, and let go of; the package has the protocol."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.errors import LockLostError, PlaceError, RunExistsError, explain
from orchestrator.records.lock.driver import (
    BLOCK_BYTES,
    STALE_SECONDS,
    Driver,
    Heartbeat,
    ProcessIdentity,
    Sighting,
    age_by_server,
    file_aside,
    from_block,
    is_driving,
    linked,
    lives,
    look,
    now,
    this_process,
    to_block,
)

FRESH_SECONDS = 5.0
"""A lock seen to be ours this recently is assumed to be ours: a write to the records need not look again."""
UNSEEN_SECONDS = STALE_SECONDS / 2
"""A lock that cannot be read is assumed to be ours for this long; no other driver takes over sooner."""
PATIENCE_SECONDS = 600.0
LOOK_AGAIN_SECONDS = 1.0
"""After that, how long and how often to retry reading the lock before giving up the run."""
# Linux: the monotonic clock stands still while the machine sleeps, this one does not.
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

    def beat(self, heartbeat: Heartbeat | None = None) -> None:
        """Write down that this driver lives, and what ``heartbeat`` reports of its run.

        Raises LockLostError where the lock is another's by now. A disk that takes nothing is no reason to let go.
        """
        with self._mutex:
            began = _clocks()
            fresh = replace(
                self._driver,
                beat=now(),
                count=self._driver.count + 1,
                heartbeat=heartbeat or self._driver.heartbeat,
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
        """Release the run, so that the next driver need not wait. Harmless where the lock is lost."""
        with self._mutex:
            ended = replace(self._driver.heartbeat, state="ended", since=now(), reason=None)
            try:
                self.beat(ended)
            except LockLostError:
                return

    def _silence(self) -> float:
        """Return the seconds since the lock was last seen to be ours."""
        return max(new - old for new, old in zip(_clocks(), self._seen, strict=True))

    def _write(self, driver: Driver) -> bool:
        """Write a heartbeat; return whether the file was seen to be ours, even if the disk was too full to write."""
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
        """Raise LockLostError where another's file lies in the place of ours; a damaged one of ours is rewritten."""
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
        return self._gone(f"since {self.file} cannot be read; another may have taken the run over.")

    def _gone(self, why: str) -> LockLostError:
        return LockLostError(
            f"{self.file.parent.name}: this driver, process {self._driver.process.pid} on"
            f" {self._driver.process.host}, sent no heartbeat for a while, {why}"
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


@dataclass(frozen=True)
class Patience:
    """How long a driver that cannot be looked up from here may be silent, and how often it is watched meanwhile."""

    stale_after: float = STALE_SECONDS
    between_looks: float = 0.5


def acquire(
    file: Path, me: ProcessIdentity | None = None, patience: Patience | None = None
) -> DriverLock:
    """Take the lock at ``file``, whether it is free, released, or held by a dead driver.

    Raises RunExistsError where another drives; where only its heartbeat can show that, it is watched until it has
    beaten once more or is stale. Raises PlaceError where nothing can be written.
    """
    time_now = now()
    heartbeat = Heartbeat(since=time_now, progressed=time_now)
    driver = Driver(secrets.token_hex(16), me or this_process(), time_now, time_now, 0, heartbeat)
    try:
        own = file_aside(file.parent, driver)
        try:
            predecessor = _take(file, own, driver, patience or Patience())
        finally:
            own.unlink(missing_ok=True)
    except OSError as error:
        expected = "a run's folder that can be written"
        raise PlaceError(explain(str(file.parent), expected, error.strerror)) from None
    return DriverLock(file, driver, predecessor)


def _take(file: Path, own: Path, driver: Driver, patience: Patience) -> Sighting | None:
    """Put ``own`` at ``file``; return the dead driver whose place it took, if that had not let go."""
    while True:
        first = look(file)
        if first is None:
            if linked(own, file, driver):
                return None
            continue
        last, claims = _last_in_line(file.parent, first)
        _check_gone(last, claims[-1] if claims else file, file.parent, patience)
        claim = _claim_on(file.parent, last)
        if not linked(own, claim, driver):
            continue
        try:
            found = look(file)
            if found is None or found.token != first.token:  # that line has ended meanwhile
                continue
            own.replace(file)
        finally:
            claim.unlink(missing_ok=True)
        for done in claims:
            done.unlink(missing_ok=True)
        let_go = last.driver is not None and last.driver.heartbeat.state == "ended"
        return None if let_go else last


def _last_in_line(folder: Path, first: Sighting) -> tuple[Sighting, list[Path]]:
    """Return who is to be succeeded: the driver, or a successor that died before it took its place."""
    last, claims = first, []
    while (successor := look(_claim_on(folder, last))) is not None:
        claims.append(_claim_on(folder, last))
        last = successor
    return last, claims


def _claim_on(folder: Path, seen: Sighting) -> Path:
    return folder / f".driver.{seen.token}.next"


def _check_gone(seen: Sighting, place: Path, folder: Path, patience: Patience) -> None:
    """Raise RunExistsError unless a driver is dead or has let go.

    Where only its heartbeat can show that it lives, it is watched until it has beaten again, or not for long enough.
    """
    age = age_by_server(seen, folder)
    while is_driving(seen, patience.stale_after, age):
        if seen.driver is not None and lives(seen.driver.process) is not None:
            raise _in_use(folder.name, seen, age)
        time.sleep(patience.between_looks)
        found = look(place)
        if found is None or found.token != seen.token:
            return  # it is another's affair now: the caller looks again
        age = age_by_server(found, folder)
        if (found.driver, found.modified) != (seen.driver, seen.modified):
            raise _in_use(folder.name, found, age)


def _in_use(run: str, seen: Sighting, age: float) -> RunExistsError:
    """Return the refusal of a second driver."""
    ago = "1 second" if round(age) == 1 else f"{age:.0f} seconds"
    return RunExistsError(
        f"{run}: expected a run that nobody drives. Received: one that {named(seen)} drives, whose last"
        f" heartbeat was {ago} ago."
    )
