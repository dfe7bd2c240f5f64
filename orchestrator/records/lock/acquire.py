"""Taking a run's lock: one driver at a time, on any file system.

Links, renames and exclusive creation, no locks of the system: on NFS those cannot be relied on. A lock
is taken by linking a file of one's own to ``driver.json``, and let go of by writing "ended" into it. Each
driver has at most one successor, which is whoever links its file to ``.driver.<token>.next`` first; it then
puts its file in the place of ``driver.json``. So of many that take over from a dead driver at once exactly
one wins, at no moment is there no lock, and a successor that dies half way has a successor, too.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import PlaceError, RunExistsError, explain
from orchestrator.records.lock.driver import (
    STALE_SECONDS,
    Driver,
    Pulse,
    Sighting,
    age_by_server,
    file_aside,
    is_driving,
    linked,
    look,
    now,
)
from orchestrator.records.lock.held import DriverLock, named
from orchestrator.records.lock.process import ProcessIdentity, lives, this_process


@dataclass(frozen=True)
class Patience:
    """How long a driver that cannot be looked up from here may be silent, and how often it is watched meanwhile."""

    stale_after: float = STALE_SECONDS
    between_looks: float = 0.5


def acquire(
    file: Path, me: ProcessIdentity | None = None, patience: Patience | None = None
) -> DriverLock:
    """Take the lock at ``file``, be it free, let go of, or a dead driver's.

    Raises RunExistsError where another drives; where only its heartbeat can tell, that is watched until it has beaten
    once more or is stale. Raises PlaceError where nothing can be written.
    """
    time_now = now()
    pulse = Pulse(since=time_now, progressed=time_now)
    driver = Driver(secrets.token_hex(16), me or this_process(), time_now, time_now, 0, pulse)
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
        let_go = last.driver is not None and last.driver.pulse.state == "ended"
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

    One that only its heartbeat can tell of is watched until it has beaten again, or not for long enough.
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
