"""A lock that cannot be looked at for a while, as on a file server that is away, is not believed to be held."""

from __future__ import annotations

import errno
import os
import threading

import pytest

from orchestrator.errors import LockLostError
from orchestrator.records import acquire
from orchestrator.records.lock import driver_lock
from orchestrator.records.lock.driver import look
from tests.drivers import FAR, silent


class Mount:
    """A run's folder that can be taken away, as by a server that does not answer, and brought back."""

    def __init__(self, place):
        self._folder, self._elsewhere = place / "run", place / "elsewhere"
        self._folder.mkdir()
        self.file = self._folder / "driver.json"
        self.file_there = self._elsewhere / "driver.json"

    def leave(self):
        self._folder.rename(self._elsewhere)
        self._folder.write_bytes(b"")  # what lies below it cannot be opened: not a folder

    def come_back(self):
        self._folder.unlink()
        self._elsewhere.rename(self._folder)


@pytest.fixture
def mount(tmp_path):
    return Mount(tmp_path)


@pytest.fixture
def later(monkeypatch):
    """`later(70)`: so many seconds pass."""
    now, passed = driver_lock._clocks, [0.0]
    monkeypatch.setattr(driver_lock, "_clocks", lambda: [clock + passed[0] for clock in now()])
    monkeypatch.setattr(driver_lock, "LOOK_AGAIN_SECONDS", 0.02)

    def wait(seconds):
        passed[0] += seconds

    return wait


def test_a_driver_whose_server_was_away_looks_before_it_writes_again(mount, later):
    far = acquire(mount.file, me=FAR)
    mount.leave()
    later(70)
    far.beat()
    silent(mount.file_there)
    mine = acquire(mount.file_there)
    mount.come_back()
    with pytest.raises(LockLostError, match=r"process 7 on far, .* taken over by process"):
        far.check()
    assert look(mount.file).token == mine.driver.token


def test_a_server_that_is_away_for_a_moment_stops_nobody(mount, later):
    far = acquire(mount.file, me=FAR)
    mount.leave()
    later(20)
    far.beat()
    far.check()


def test_a_driver_whose_server_is_away_for_longer_waits_and_goes_on(mount, later):
    far = acquire(mount.file, me=FAR)
    mount.leave()
    later(70)
    threading.Timer(0.3, mount.come_back).start()
    far.check()
    assert look(mount.file).driver.count == far.driver.count > 1


def test_a_driver_whose_server_stays_away_gives_up(mount, later, monkeypatch):
    monkeypatch.setattr(driver_lock, "PATIENCE_SECONDS", 0.1)
    far = acquire(mount.file, me=FAR)
    mount.leave()
    later(70)
    with pytest.raises(LockLostError, match=r"driver\.json cannot be read"):
        far.check()


def test_a_lock_on_a_full_disk_is_seen_and_its_heartbeat_told_by_the_files_time(
    mount, later, monkeypatch
):
    def full(descriptor, block, offset):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    far = acquire(mount.file, me=FAR)
    monkeypatch.setattr(os, "pwrite", full)
    silent(mount.file)
    later(70)
    far.check()
    assert look(mount.file).age() < 30
