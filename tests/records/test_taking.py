"""Who gets a run's lock, and when: with processes of this machine and as if from others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.errors import LockLostError, PlaceError, RunExistsError
from orchestrator.records import Patience, acquire
from orchestrator.records.driver import from_block, look
from orchestrator.records.lock_files import file_aside
from orchestrator.records.process import ProcessIdentity, this_process

FAR = ProcessIdentity("far", 7, 1.0, "another boot", "another namespace")
QUICK = Patience(stale_after=0.3, between_looks=0.02)
SOON = Patience(stale_after=30, between_looks=0.02)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "driver.json"


def dead() -> ProcessIdentity:
    """A process of this machine that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return replace(this_process(), pid=process.pid)


def silent(file: Path, seconds: float = 120) -> None:
    """Have a lock not been beaten for so long, by the file server's clock."""
    facts = file.stat()
    os.utime(file, (facts.st_atime - seconds, facts.st_mtime - seconds))


def only_the_lock(file: Path) -> bool:
    return [found.name for found in file.parent.iterdir()] == [file.name]


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
    monkeypatch.setattr("orchestrator.records.driver_lock.FRESH_SECONDS", -1.0)
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


RACE = """
import sys, time
from pathlib import Path
from orchestrator.errors import RunExistsError
from orchestrator.records import acquire
file = Path(sys.argv[1])
for line in sys.stdin:
    while time.time() < float(line):
        pass
    try:
        lock = acquire(file)
        print("won", flush=True)
    except RunExistsError:
        lock = None
        print("refused", flush=True)
    sys.stdin.readline()
    if lock:
        lock.release()
    print("done", flush=True)
"""


@pytest.mark.parametrize("left_by", ["nobody", "the dead", "one that let go", "damage"])
def test_of_many_processes_that_try_at_once_exactly_one_wins_again_and_again(file, left_by):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    racers = [subprocess.Popen([sys.executable, "-c", RACE, str(file)], **pipes) for _ in range(8)]
    try:
        for lap in range(25):
            if left_by != "one that let go":
                file.unlink(missing_ok=True)
            if left_by == "the dead":
                acquire(file, me=dead())
            if left_by == "damage":
                file.write_bytes(b"?")
                silent(file)
            start = time.time() + (1 if lap == 0 else 0.05)
            for racer in racers:
                racer.stdin.write(f"{start}\n")
            answers = [racer.stdout.readline().strip() for racer in racers]
            assert sorted(answers) == ["refused"] * 7 + ["won"], (lap, answers)
            for racer in racers:
                racer.stdin.write("over\n")
            assert {racer.stdout.readline() for racer in racers} == {"done\n"}
            assert only_the_lock(file)
    finally:
        for racer in racers:
            racer.stdin.close()
            racer.wait(20)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_the_heart_beats_on_a_full_disk(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("this container may not mount anything")
    try:
        lock = acquire(disk / "driver.json")
        with pytest.raises(OSError, match="No space"), (disk / "full").open("wb", 0) as full:
            while True:
                full.write(b"x" * 512)
        lock.beat(replace(lock.driver.pulse, epochs=3, why="the disk is full"))
        found = look(disk / "driver.json").driver
        assert (found.count, found.pulse.epochs) == (1, 3)
        lock.release()
        with pytest.raises(PlaceError, match="No space left"):
            acquire(disk / "driver.json")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
