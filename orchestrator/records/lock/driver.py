"""``driver.json``: who drives a run, whether that process lives, and how far the run has come.

The file has a fixed size and ends in a checksum, so that it can be written in place, on a full
disk too, and a reader recognizes a half-written one.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import secrets
import time
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from orchestrator.records.jsonl import from_line, to_line

_DEAD = ("Z", "X")


@dataclass(frozen=True)
class ProcessIdentity:
    """One process of one boot of one machine.

    ``process_started`` tells it from a later process of the same number: seconds since the boot under
    Linux, where no change of the clock moves them, else since 1970. ``boot_id`` and ``pid_namespace``
    are empty where a system has none.
    """

    host: str
    pid: int
    process_started: float
    boot_id: str = ""
    pid_namespace: str = ""


def this_process() -> ProcessIdentity:
    """Return who this process is."""
    return ProcessIdentity(
        host=platform.node(),
        pid=os.getpid(),
        process_started=_started(os.getpid()) or 0.0,
        boot_id=_boot_id(),
        pid_namespace=_pid_namespace(),
    )


def lives(process: ProcessIdentity) -> bool | None:
    """Return whether a process lives; None where that cannot be seen from here: another machine, say."""
    here = (_boot_id(), _pid_namespace())
    if not all(here) or (process.boot_id, process.pid_namespace) != here:
        return None
    try:
        os.kill(process.pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # it is there, and another user's
        pass
    started = _started(process.pid)
    if started is None:
        return None if psutil.pid_exists(process.pid) else False
    return started == process.process_started


def _started(pid: int) -> float | None:
    """Return when a process began; 0 for one that has ended, None where that cannot be seen."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        # The name, in parentheses, may hold anything: proc_pid_stat(5). Field 3 follows it.
        fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        return 0.0 if fields[0] in _DEAD else int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        pass
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return None


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


BLOCK_BYTES = 4096
BEAT_SECONDS = 2.0
STALE_SECONDS = 60.0
"""A driver that cannot be looked up from here is dead after so many seconds without a heartbeat."""
_LONGEST_REASON = 300
_TOKEN = re.compile(r"[0-9a-f]{32}")
_READS = 5
# What file systems without hard links answer: FAT, some of FUSE.
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK)
_OWN = ("token", "started", "beat", "count")


def now() -> str:
    """Return the time (UTC) as records have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True)
class Heartbeat:
    """What a heartbeat reports of the run: how far it has come, and whether it waits.

    ``state`` is running (``reason``: what is examined after the last trial), paused (``reason`` says for what) or ended
    (its driver let go of it), ``since`` when it became so; ``progressed`` is when a trial last began, finished an epoch
    or ended; ``trials`` are those planned so far; ``slowest_epoch`` is in seconds. ``in_training`` names the trials
    that have begun and are not paused, with spaces between them; None where they are too many to name. ``doing`` is
    what happens before the driver's first epoch, in words.
    """

    state: str = "running"
    since: str = ""
    reason: str | None = None
    progressed: str = ""
    trials_done: int = 0
    trials: int = 0
    epochs: int = 0
    best: float | None = None
    best_trial: str | None = None
    slowest_epoch: float = 0.0
    in_training: str | None = None
    doing: str | None = None


@dataclass(frozen=True)
class Driver:
    """One driver of a run: its process, its latest heartbeat, and what that reported.

    ``token`` is its own and nobody else's; ``beat`` is when it last wrote, by its own clock, and ``count`` how often.
    """

    token: str
    process: ProcessIdentity
    started: str
    beat: str
    count: int
    heartbeat: Heartbeat

    def facts(self) -> dict[str, Any]:
        """Return everything as one flat mapping, as it stands in the file."""
        own = {name: getattr(self, name) for name in _OWN}
        return own | asdict(self.process) | asdict(self.heartbeat)


@dataclass(frozen=True)
class Sighting:
    """A lock file as it was found; ``driver`` is None where its content is no driver's.

    ``modified`` is by the clock of the machine that holds the file.
    """

    driver: Driver | None
    inode: tuple[int, int]
    modified: float

    @property
    def token(self) -> str:
        """Something that names this driver and no other."""
        return self.driver.token if self.driver else f"inode-{self.inode[1]}"

    def age(self) -> float:
        """Return the seconds since the last beat as this machine's clock has it."""
        return max(0.0, time.time() - self.modified)


def to_block(driver: Driver) -> bytes:
    """Return a driver as the whole content of its file."""
    facts = driver.facts()
    if facts["reason"]:
        facts["reason"] = facts["reason"][:_LONGEST_REASON]
    return to_line(facts).rstrip(b"\n").ljust(BLOCK_BYTES - 1) + b"\n"


def from_block(content: bytes) -> Driver | None:
    """Return the driver that a file's content describes, None where it is torn or damaged."""
    facts = from_line(content.rstrip(b" \n\x00"))
    if facts is None or not _TOKEN.fullmatch(str(facts.get("token"))):
        return None
    own: dict[str, Any] = {name: facts.get(name) for name in _OWN}
    process: dict[str, Any] = {
        field.name: facts.get(field.name) for field in fields(ProcessIdentity)
    }
    heartbeat: dict[str, Any] = {field.name: facts.get(field.name) for field in fields(Heartbeat)}
    if not all(_holds(name, value) for name, value in (own | process | heartbeat).items()):
        return None
    return Driver(process=ProcessIdentity(**process), heartbeat=Heartbeat(**heartbeat), **own)


def _holds(name: str, value: Any) -> bool:
    """Return whether a value is what its name says: anyone can edit a text file."""
    if value is None:
        return name in ("reason", "best", "best_trial", "in_training", "doing")
    if name in ("started", "beat", "since", "progressed"):
        return _is_time(value)
    if name in ("process_started", "best", "slowest_epoch"):
        return isinstance(value, int | float)
    if name in ("pid", "count", "trials_done", "trials", "epochs"):
        return isinstance(value, int) and value >= 0
    return isinstance(value, str)


def _is_time(value: Any) -> bool:
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        return False


def look(file: Path) -> Sighting | None:
    """Return what a lock file says, None where there is none.

    The file is opened again each time: on NFS that is when another machine's writing is seen.
    """
    for read in range(_READS):
        try:
            descriptor = os.open(file, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            content, facts = os.read(descriptor, 2 * BLOCK_BYTES), os.fstat(descriptor)
        finally:
            os.close(descriptor)
        driver = from_block(content)
        if driver is not None or read == _READS - 1:
            return Sighting(driver, (facts.st_dev, facts.st_ino), facts.st_mtime)
        time.sleep(0.02)  # it may have been read while it was written
    return None


def is_driving(
    seen: Sighting, stale_after: float = STALE_SECONDS, age: float | None = None
) -> bool:
    """Return whether the driver of a lock holds it still: its process decides where it can be seen.

    Otherwise its heartbeat does, whose ``age`` is best taken by the file server's own clock.
    """
    if seen.driver is not None:
        if seen.driver.heartbeat.state == "ended":
            return False
        alive = lives(seen.driver.process)
        if alive is not None:
            return alive
    return (seen.age() if age is None else age) < stale_after


def age_by_server(seen: Sighting, folder: Path) -> float:
    """Return the seconds since the last beat by the clock of the machine that holds ``folder``.

    Clocks of several machines differ, so a file is touched beside it and the two are compared. Where
    nothing can be written this machine's clock has to do.
    """
    probe = folder / f".clock.{secrets.token_hex(8)}"
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError:
        return seen.age()
    try:
        return max(0.0, os.fstat(descriptor).st_mtime - seen.modified)
    finally:
        os.close(descriptor)
        probe.unlink(missing_ok=True)


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
