"""Waiting for room on a full disk: the run pauses, says so, and goes on by itself."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from orchestrator.errors import PlaceError
from orchestrator.records import DiskFull, is_full

LOOK_AGAIN_SECONDS = 1.0
ROOM = 2**18
"""Bytes asked for beyond what did not fit, so that a run does not go on for one more line."""
UNKNOWN = 2**24
"""Bytes asked for where nobody knows what did not fit: a user's code wrote it. Less on a small disk."""
JUST_SECONDS = 60.0
"""For so long after a wait a disk was just full: a trial may have failed before, and be heard of later."""


class Note(Protocol):
    """Where a pause is told."""

    def paused(self, reason: str) -> None:
        """Tell that the run waits."""

    def went_on(self, reason: str, seconds: float) -> None:
        """Tell that it goes on, after so long."""


class DiskWait:
    """Waits until a file of a size fits into a folder. Raises PlaceError once the run is asked to stop."""

    def __init__(self, folder: Path, note: Note, stopping: Callable[[], bool]) -> None:
        self._folder = folder
        self._note = note
        self._stopping = stopping
        self._room_since = -math.inf
        self.seconds = 0.0

    def wait(self, needed: int) -> bool:
        """Wait for ``needed`` bytes; return whether that took waiting."""
        if self._fits(needed):
            return False
        began = time.monotonic()
        reason = f"disk full: {_size(needed + ROOM)} do not fit into {self._folder}"
        self._note.paused(reason)
        while not self._fits(needed):
            if self._stopping():
                raise PlaceError(f"{reason}. Free space, then resume.")
            time.sleep(LOOK_AGAIN_SECONDS)
        seconds = time.monotonic() - began
        self.seconds += seconds
        self._room_since = time.monotonic()
        self._note.went_on(reason, seconds)
        return True

    def is_or_was_full(self, needed: int) -> bool:
        """Wait for ``needed`` bytes, 0 where nobody knows; return whether there was no room now or just before.

        No other disk can be waited for here: what is full there is not full for this.
        """
        unknown = min(UNKNOWN, shutil.disk_usage(self._folder).total // 20)
        waited = self.wait(needed or unknown)
        return waited or time.monotonic() - self._room_since < JUST_SECONDS

    def write(self, action: Callable[[], object]) -> None:
        """Do what writes a file, as often as it takes to fit."""
        while True:
            try:
                action()
                return
            except DiskFull as full:
                self.wait(full.bytes_needed)

    def _fits(self, needed: int) -> bool:
        """Return whether so much can be written: quotas and reserves are known to the file system alone."""
        probe = self._folder / f".room-{os.getpid()}"
        probe.unlink(missing_ok=True)
        try:
            with probe.open("xb") as file:  # new, so that nothing a link leads to is filled
                for _ in range((needed + ROOM) // ROOM + 1):
                    file.write(bytes(ROOM))
                file.flush()
                os.fsync(file.fileno())  # no sooner do NFS and some quotas tell
        except OSError as error:
            if not is_full(error):
                raise
            return False
        finally:
            probe.unlink(missing_ok=True)
        return True


LOW = (2**30, 2**27)
"""Bytes free below which a run warns, once for each."""
WARN_SECONDS = 60.0


class LowDisk:
    """Warns before the disk of a folder is full."""

    def __init__(self, folder: Path, now: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._now = now
        self._looked = -math.inf
        self._below = math.inf

    def warning(self) -> str | None:
        """Return a sentence where the room left has sunk below another threshold; it looks once a minute."""
        if self._now() - self._looked < WARN_SECONDS:
            return None
        self._looked = self._now()
        free = shutil.disk_usage(self._folder).free
        sunk = [threshold for threshold in LOW if free < threshold < self._below]
        if not sunk:
            return None
        self._below = min(sunk)
        return f"disk: {_size(free)} left for {self._folder}; when it is full the run pauses until there is room"


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.0f} KiB"
