"""The checkpoints of a panda's days, and which of them stay."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RecordError
from orchestrator.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

_DAY_FILE = re.compile(r"day-(\d{5})\.npz")


@dataclass(frozen=True)
class DayCheckpoints:
    """One trial's folder of checkpoints: ``day-00005.npz`` is the end of day 5, day 0 is before training.

    ``keep_days`` bounds how many days' ends stay besides day 0 and those asked to stay; None keeps all.
    """

    folder: Path
    keep_days: int | None = None

    @property
    def last(self) -> Path:
        """The state after the last report, from which a killed panda resumes."""
        return self.folder / "last.npz"

    def file(self, day: int) -> Path:
        """Return where the end of ``day`` lies."""
        return self.folder / f"day-{day:05d}.npz"

    def save(self, day: int, checkpoint: Checkpoint) -> int:
        """Write the end of a day; return its size in bytes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.file(day), checkpoint)
        return self.file(day).stat().st_size

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Write the state to resume from."""
        self.folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(self.last, checkpoint)

    def load(self, day: int) -> Checkpoint:
        """Return the end of ``day``. Raises RecordError where it is not kept."""
        if not self.file(day).exists():
            kept = ", ".join(map(str, self.kept())) or "none"
            raise RecordError(f"day {day}: expected a day whose end is kept. Known: {kept}.")
        return load_checkpoint(self.file(day))

    def of_epoch(self, epoch: int) -> Checkpoint:
        """Return the day's end that lies exactly after ``epoch`` epochs. Raises RecordError where none does."""
        ends = {}
        for day in self.kept():
            checkpoint = self.load(day)
            ends[int(checkpoint.about["epoch"])] = checkpoint
        if epoch not in ends:
            known = ", ".join(map(str, sorted(ends))) or "none"
            raise RecordError(
                f"epoch {epoch}: expected an epoch at a kept day's end. Known: {known}."
            )
        return ends[epoch]

    def kept(self) -> list[int]:
        """Return the days whose ends are here, ascending."""
        found = (_DAY_FILE.fullmatch(file.name) for file in self.folder.glob("day-*.npz"))
        return sorted(int(match[1]) for match in found if match)

    def prune(self, needed: Collection[int]) -> None:
        """Delete the oldest days beyond ``keep_days``, but never day 0 nor one of ``needed``."""
        if self.keep_days is None:
            return
        for day in [day for day in self.kept() if day > 0][: -self.keep_days]:
            if day not in needed:
                self.file(day).unlink(missing_ok=True)
