from __future__ import annotations

import os
import shutil
import subprocess
import threading

import pytest

from orchestrator.errors import PlaceError
from orchestrator.experiment.disk import DiskWait, LowDisk
from orchestrator.records import DiskFull, JsonLines, Pen, read_lines, write_atomically

SMALL = 2**20  # bytes of the disk


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one MiB, and a file that takes up most of it."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


class Told(list):
    def paused(self, why):
        self.append(("paused", why))

    def went_on(self, why, seconds):
        self.append(("went_on", why))


def fill(place):
    ballast = place / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(bytes(2 * SMALL))
    return ballast


def test_what_does_not_fit_is_waited_for_and_written_whole(small_disk):
    told = Told()
    patience = DiskWait(small_disk, told, lambda: False)
    ballast = fill(small_disk)
    threading.Timer(1.5, ballast.unlink).start()
    patience.write(lambda: write_atomically(small_disk / "state", bytes(1000)))
    assert (small_disk / "state").read_bytes() == bytes(1000)
    assert [event for event, _ in told] == ["paused", "went_on"]
    assert "disk full" in told[0][1] and patience.seconds > 1
    assert {path.name for path in small_disk.iterdir()} == {"state"}


def test_lines_on_a_full_disk_stay_whole_and_come_when_there_is_room(small_disk):
    lines = JsonLines(
        small_disk / "epochs.jsonl", Pen(on_full=DiskWait(small_disk, Told(), bool).wait)
    )
    lines.append({"epoch": 0})
    ballast = fill(small_disk)
    threading.Timer(1.5, ballast.unlink).start()
    for epoch in range(1, 400):
        lines.append({"epoch": epoch, "text": "x" * 100})
    lines.close()
    assert [line["epoch"] for line in read_lines(lines.path)] == list(range(400))


def test_without_patience_a_full_disk_is_an_error_and_leaves_whole_lines(small_disk):
    lines = JsonLines(small_disk / "epochs.jsonl")
    fill(small_disk)
    with pytest.raises(DiskFull) as full:
        for epoch in range(4000):
            lines.append({"epoch": epoch, "text": "x" * 100})
    assert full.value.bytes_needed > 100
    lines.close()
    written = [line["epoch"] for line in read_lines(lines.path)]
    assert written == list(range(len(written)))


def test_a_file_that_does_not_fit_leaves_the_one_that_was_there(small_disk):
    write_atomically(small_disk / "state", b"before")
    ballast = fill(small_disk)
    with pytest.raises(DiskFull) as full:
        write_atomically(small_disk / "state", bytes(5000))
    ballast.unlink()
    assert full.value.bytes_needed == 5000
    assert (small_disk / "state").read_bytes() == b"before"
    assert [path.name for path in small_disk.iterdir()] == ["state"]


def test_a_run_asked_to_stop_waits_no_longer(small_disk):
    fill(small_disk)
    with pytest.raises(PlaceError, match="Free space, then resume"):
        DiskWait(small_disk, Told(), lambda: True).wait(100)


def test_where_there_is_room_nobody_waits(tmp_path):
    told = Told()
    assert not DiskWait(tmp_path, told, lambda: False).wait(100)
    assert told == []


def test_a_disk_that_fills_is_warned_of_once_for_each_threshold(small_disk):
    time = [0.0]
    low = LowDisk(small_disk, lambda: time[0])
    assert "left for" in low.warning()
    for time[0] in (5.0, 15.0, 100.0):
        assert low.warning() is None


def test_what_failed_before_the_wait_and_is_heard_of_after_it_failed_for_the_disk(
    small_disk, monkeypatch
):
    patience = DiskWait(small_disk, Told(), lambda: False)
    assert not patience.is_or_was_full(1000), "full somewhere else"
    ballast = fill(small_disk)
    threading.Timer(0.5, ballast.unlink).start()
    assert patience.is_or_was_full(1000)
    assert patience.is_or_was_full(1000), "another trial that failed at the same time"
    monkeypatch.setattr("orchestrator.experiment.disk.JUST_SECONDS", 0.0)
    assert not patience.is_or_was_full(1000), "so that it does not go on for ever"


def test_where_nobody_knows_what_did_not_fit_some_room_is_waited_for(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(DiskWait, "_fits", lambda self, needed: asked.append(needed) or True)
    DiskWait(tmp_path, Told(), lambda: False).is_or_was_full(0)
    assert asked == [min(2**24, shutil.disk_usage(tmp_path).total // 20)]
