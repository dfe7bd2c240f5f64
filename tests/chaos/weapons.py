"""What is done to a run: each weapon takes a driver at work and says what it did."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import psutil

from tests.chaos.damage import flip, tear
from tests.chaos.disk import Disk
from tests.chaos.driver import LONGEST, Driver, at_work, shoot, title, until
from tests.chaos.nodes import NODES, Cluster

GONE_SECONDS = 60.0
"""How long the processes of a dead driver's Ray may take to end: two seconds on a machine that is not crowded."""


@dataclass
class Range:
    """What a weapon needs besides the driver."""

    random: Random
    cluster: Cluster | None = None
    disk: Disk | None = None


class TooLate(Exception):
    """The run was done before the weapon could be used."""


Weapon = Callable[[Driver, Range], str]


def kill_driver(driver: Driver, at: Range) -> str:
    """SIGKILL for the driver."""
    driver.kill()
    _all_gone(driver, at)
    return "driver killed"


def kill_worker(driver: Driver, at: Range) -> str:
    """SIGKILL for a worker that trains."""
    until(lambda: _workers(driver, at) or driver.code is not None, LONGEST)
    workers = _workers(driver, at)
    if not workers:
        raise TooLate
    shoot([at.random.choice(workers)])
    return f"one of {len(workers)} workers killed"


def kill_both(driver: Driver, at: Range) -> str:
    """SIGKILL for all workers and the driver, at once."""
    workers = _workers(driver, at)
    shoot(workers)
    driver.kill()
    _all_gone(driver, at)
    return f"driver and {len(workers)} workers killed"


def terminate_driver(driver: Driver, at: Range) -> str:
    """SIGTERM for the driver: a batch system's polite request."""
    driver.send(signal.SIGTERM)
    code = driver.end()
    # Before it has begun to run it has nothing to keep and dies of the signal.
    said = driver.life.log.read_text(encoding="utf-8", errors="replace")[-600:]
    assert code in (130, -signal.SIGTERM, 0), f"exit code {code} after SIGTERM: {said}"
    _all_gone(driver, at)
    return f"driver terminated, code {code}"


def kill_node(driver: Driver, at: Range) -> str:
    """SIGKILL for everything on one node that is not the head, which then comes back."""
    assert at.cluster is not None
    node = at.random.choice(NODES[1:])
    at.cluster.kill(node)
    at.cluster.start(node)
    return f"node 127.0.0.{node} killed"


def kill_head(driver: Driver, at: Range) -> str:
    """SIGKILL for everything on the head: the cluster is lost and another one started."""
    assert at.cluster is not None
    at.cluster.stop()
    code = driver.end()
    for node in NODES:
        at.cluster.start(node)
    return f"head killed, the driver ended with {code}"


def fill_disk(driver: Driver, at: Range) -> str:
    """No byte free for some seconds, noticed and said."""
    assert at.disk is not None
    at.disk.fill()
    paused = until(lambda: _says_paused(driver) or driver.code is not None, 120)
    said = _says_paused(driver)
    until(lambda: driver.code is not None, at.random.uniform(0, 4))
    at.disk.free()
    assert paused, "a full disk was not noticed"
    return "disk full, run paused" if said else f"disk full, driver ended with {driver.code}"


def fill_disk_and_kill(driver: Driver, at: Range) -> str:
    """A driver killed while the disk is full."""
    assert at.disk is not None
    at.disk.fill()
    until(lambda: _says_paused(driver) or driver.code is not None, at.random.uniform(1, 8))
    driver.kill()
    at.disk.free()
    _all_gone(driver, at)
    return "disk full, driver killed"


def torn(record: str) -> Weapon:
    """Return the weapon that kills the driver and tears the record's last line."""

    def kill_and_tear(driver: Driver, at: Range) -> str:
        kill_driver(driver, at)
        file = driver.life.run / record
        if not file.exists() or not file.stat().st_size:
            return f"driver killed, {record} was empty"
        return f"driver killed, {record} torn: {tear(file, at.random)}"

    return kill_and_tear


def flipped(record: str) -> Weapon:
    """Return the weapon that kills the driver, flips a bit, has resume refuse and the record repaired."""

    def kill_and_flip(driver: Driver, at: Range) -> str:
        life = driver.life
        until(lambda: life.lines(record) > 1 or driver.code is not None, LONGEST)
        kill_driver(driver, at)
        line = flip(life.run / record, at.random)
        refused = life.orchestrator("resume", str(life.run))
        said = re.sub(r"\s+", " ", refused.stderr)
        assert refused.returncode == 2, f"{record} flipped in line {line}: {refused.returncode}"
        assert record in said and re.search(rf"line {line}\b", said), f"line {line}: {said}"
        repaired = life.orchestrator("repair", str(life.run))
        assert repaired.returncode == 0, f"repair of {record}, line {line}: {repaired.stderr}"
        return f"driver killed, {record} flipped in line {line}, refused, repaired"

    return kill_and_flip


def _workers(driver: Driver, at: Range) -> list[psutil.Process]:
    return at.cluster.workers() if at.cluster else driver.workers()


def _says_paused(driver: Driver) -> bool:
    shown = driver.life.orchestrator("status", str(driver.life.run), seconds=LONGEST)
    return "paused" in shown.stdout


def _all_gone(driver: Driver, at: Range) -> None:
    """Check that nothing of the driver's Ray goes on."""
    life = driver.life
    gone = until(lambda: not at_work(life), GONE_SECONDS)
    left = [title(process)[:80] for process in at_work(life)]
    assert gone, f"processes stay behind: {left}"
    if at.cluster is not None:
        gone = until(lambda: not at.cluster.workers(), GONE_SECONDS)
        assert gone, f"{len(at.cluster.workers())} workers stay behind on the cluster"


WEAPONS: dict[str, Weapon] = {
    "driver": kill_driver,
    "worker": kill_worker,
    "both": kill_both,
    "sigterm": terminate_driver,
    "node": kill_node,
    "head": kill_head,
    "disk": fill_disk,
    "disk+driver": fill_disk_and_kill,
    **{
        f"{how.__name__} {record}": how(f"{record}.jsonl")
        for how in (torn, flipped)
        for record in ("trials", "epochs", "events", "journal")
    },
}
