"""Many processes at once, and a disk that is full."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from orchestrator.errors import PlaceError
from orchestrator.records import acquire
from orchestrator.records.lock.driver import look
from tests.depth import in_depth
from tests.drivers import dead, only_the_lock, silent

RACE = """
import sys, time
from pathlib import Path
from orchestrator.errors import RunExistsError
from orchestrator.records import acquire
print("here", flush=True)
for line in sys.stdin:
    start, file = line.split(" ", 1)
    file = Path(file.rstrip())
    time.sleep(max(0.0, float(start) - time.time() - 0.002))
    while time.time() < float(start):
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


LAPS = 15


@pytest.fixture(scope="module")
def racers():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    started = [subprocess.Popen([sys.executable, "-c", RACE], **pipes) for _ in range(8)]
    assert {racer.stdout.readline() for racer in started} == {"here\n"}
    yield started
    for racer in started:
        racer.stdin.close()
        racer.wait(300)


@pytest.mark.parametrize(
    "left_by", in_depth(["nobody", "the dead", "one that let go", "damage"], "the dead", "damage")
)
def test_of_many_processes_that_try_at_once_exactly_one_wins_again_and_again(
    tmp_path, racers, left_by
):
    file = tmp_path / "driver.json"
    for lap in range(LAPS):
        if left_by != "one that let go":
            file.unlink(missing_ok=True)
        if left_by == "the dead":
            acquire(file, me=dead())
        if left_by == "damage":
            file.write_bytes(b"?")
            silent(file)
        start = time.time() + 0.05
        for racer in racers:
            racer.stdin.write(f"{start} {file}\n")
        answers = [racer.stdout.readline().strip() for racer in racers]
        assert sorted(answers) == ["refused"] * 7 + ["won"], (lap, answers)
        for racer in racers:
            racer.stdin.write("over\n")
        assert {racer.stdout.readline() for racer in racers} == {"done\n"}
        assert only_the_lock(file)


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
        lock.beat(replace(lock.driver.heartbeat, epochs=3, reason="the disk is full"))
        found = look(disk / "driver.json").driver
        assert (found.count, found.heartbeat.epochs) == (1, 3)
        lock.release()
        with pytest.raises(PlaceError, match="No space left"):
            acquire(disk / "driver.json")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
