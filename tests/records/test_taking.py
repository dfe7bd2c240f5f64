"""Who gets a run's lock, and when: with processes of this machine and as if from others."""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import LockLostError, PlaceError, RunExistsError
from orchestrator.records import Patience, acquire
from orchestrator.records.lock.driver import file_aside, from_block, look, this_process
from tests.drivers import FAR, dead, only_the_lock, silent

QUICK = Patience(stale_after=0.3, between_looks=0.02)
SOON = Patience(stale_after=30, between_looks=0.02)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "driver.json"


def test_a_lock_names_its_driver_and_fills_one_block(file):
    acquire(file)
    found = from_block(file.read_bytes())
    assert found.process == this_process()
    assert file.stat().st_size == 4096
    assert only_the_lock(file)


def test_a_second_driver_is_refused_naming_host_process_and_last_heartbeat(file):
    acquire(file)
    here = rf"process {os.getpid()} on {this_process().host} drives.* heartbeat was \d+ seconds ago"
    with pytest.raises(RunExistsError, match=here):
        acquire(file)
    assert only_the_lock(file)


def test_a_living_driver_is_never_stale_however_silent(file):
    acquire(file)
    silent(file)
    with pytest.raises(RunExistsError):
        acquire(file)


def test_a_lock_that_was_let_go_of_is_free_at_once(file):
    first = acquire(file)
    first.release()
    assert acquire(file).predecessor is None
    with pytest.raises(LockLostError):
        first.beat()


def test_a_dead_drivers_lock_is_taken_over_at_once(file):
    gone = dead()
    acquire(file, me=gone)
    taken = acquire(file)
    assert taken.predecessor.process == gone
    assert look(file).token == taken.driver.token
    assert only_the_lock(file)


def test_another_machines_driver_is_refused_as_soon_as_it_beats(file):
    far = acquire(file, me=FAR)
    beats = subprocess.Popen(["sh", "-c", f"sleep 0.2; touch {file}"])
    with pytest.raises(RunExistsError, match="process 7 on far"):
        acquire(file, patience=SOON)
    beats.wait()
    far.beat()


def test_another_machines_driver_is_dead_when_it_has_been_silent_for_long_enough(file):
    acquire(file, me=FAR)
    assert acquire(file, patience=QUICK).predecessor.process == FAR


def test_a_silent_driver_of_another_machine_is_taken_over_without_waiting(file):
    acquire(file, me=FAR)
    silent(file)
    assert acquire(file, patience=replace(SOON, stale_after=60)).predecessor.process == FAR


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 4096, b'{"token": "../../x"}'])
def test_a_damaged_lock_is_somebodys_until_it_is_stale(file, content):
    file.write_bytes(content)
    lock = acquire(file, patience=QUICK)
    assert look(file).token == lock.driver.token
    assert only_the_lock(file)


def test_the_driver_whose_lock_was_taken_finds_out_at_its_next_beat_and_changes_nothing(file):
    far = acquire(file, me=FAR)
    silent(file)
    mine = acquire(file)
    content = file.read_bytes()
    for ask in (far.beat, far.beat):
        with pytest.raises(LockLostError, match=r"process 7 on far, .* taken over by process"):
            ask()
    far.release()
    assert file.read_bytes() == content
    mine.beat()


def test_a_check_costs_nothing_while_the_heart_beats_and_looks_after_a_silence(file, monkeypatch):
    far = acquire(file, me=FAR)
    silent(file)
    acquire(file)
    far.check()
    monkeypatch.setattr("orchestrator.records.lock.driver_lock.FRESH_SECONDS", -1.0)
    with pytest.raises(LockLostError):
        far.check()


def test_a_lock_that_was_deleted_or_damaged_is_written_anew(file):
    lock = acquire(file)
    file.unlink()
    lock.beat()
    assert look(file).token == lock.driver.token
    file.write_bytes(b"x" * 4096)
    lock.beat()
    assert look(file).driver == lock.driver


def test_a_deleted_lock_that_another_took_is_lost(file):
    lock = acquire(file)
    file.unlink()
    acquire(file, me=FAR)
    with pytest.raises(LockLostError):
        lock.beat()


def test_a_successor_that_died_half_way_is_succeeded(file):
    """It had claimed the dead driver's place and not yet taken it."""
    first = acquire(file, me=dead())
    half = acquire(file.with_name("other.json"), me=dead())
    claim = file.with_name(f".driver.{first.driver.token}.next")
    file_aside(file.parent, half.driver).rename(claim)
    half.file.unlink()
    lock = acquire(file)
    assert look(file).token == lock.driver.token
    assert only_the_lock(file)


def test_a_successor_half_way_that_lives_is_a_driver(file):
    first = acquire(file, me=dead())
    half = acquire(file.with_name("other.json"))
    claim = file.with_name(f".driver.{first.driver.token}.next")
    file_aside(file.parent, half.driver).rename(claim)
    with pytest.raises(RunExistsError):
        acquire(file)


def test_without_links_a_file_is_created_in_its_place(file, monkeypatch):
    def refused(place, own):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refused)
    acquire(file, me=dead())
    taken = acquire(file)
    assert look(file).token == taken.driver.token
    with pytest.raises(RunExistsError):
        acquire(file)
    assert only_the_lock(file)


def test_where_nothing_can_be_written_nothing_is_driven(file):
    with pytest.raises(PlaceError, match="can be written"):
        acquire(file.parent / "none" / file.name)
