"""The checkpoints of a panda's days, and which of them stay."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import RecordError
from orchestrator.records import made, write_atomically
from orchestrator.trials.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

_DAY_FILE = re.compile(r"day-(\d{5})\.npz")


@dataclass(frozen=True)
class DayCheckpoints:
    """One trial's folder of checkpoints: ``day-00005.npz`` is the end of day 5, day 0 is before training.

    Beside it lies ``best-00005.npz``, the trial's best state by then. ``keep_days`` bounds how many days' ends stay
    besides day 0 and those asked to stay; None keeps all. Files of days after ``today`` are those of days that a
    rollback abandoned: they are days no more.
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
        self._make()
        save_checkpoint(self.file(day), checkpoint)
        return self.file(day).stat().st_size

    def save_last(self, checkpoint: Checkpoint) -> None:
        """Write the state to resume from."""
        self._make()
        save_checkpoint(self.last, checkpoint)

    def load(self, day: int, today: int) -> Checkpoint:
        """Return the end of ``day``. Raises RecordError where it is not kept."""
        if day not in self.kept(today):
            kept = ", ".join(map(str, self.kept(today))) or "none"
            raise RecordError(f"day {day}: expected a day whose end is kept. Known: {kept}.")
        return load_checkpoint(self.file(day))

    def of_epoch(self, epoch: int, today: int) -> Checkpoint:
        """Return the day that ends exactly after ``epoch`` epochs. Raises RecordError where none does."""
        ends = {}
        for day in self.kept(today):
            checkpoint = self.load(day, today)
            ends[int(checkpoint.about["epoch"])] = checkpoint
        if epoch not in ends:
            known = ", ".join(map(str, sorted(ends))) or "none"
            raise RecordError(
                f"epoch {epoch}: expected an epoch at a kept day's end. Known: {known}."
            )
        return ends[epoch]

    def kept(self, today: int) -> list[int]:
        """Return the days whose ends are here, ascending."""
        return [day for day in self._files() if day <= today]

    def sizes(self) -> list[int]:
        """Return the bytes of each day's end that lies here."""
        return [self.file(day).stat().st_size for day in self._files()]

    def prune(self, today: int, needed: Collection[int]) -> None:
        """Delete the oldest days beyond ``keep_days``, but never day 0 nor one of ``needed``; and abandoned ones."""
        if self.keep_days is None:
            return
        old = [day for day in self.kept(today) if day > 0][: -self.keep_days]
        for day in self._files():
            if day > today or (day in old and day not in needed):
                self.file(day).unlink(missing_ok=True)
                self._best(day).unlink(missing_ok=True)

    def save_best(self, when: int | str, best: Path) -> None:
        """Remember the trial's best state as it is on a day, or at the last report; it costs no copy."""
        _link(best, self._best(when))

    def restore_best(self, when: int | str, best: Path) -> bool:
        """Put the best state of then back; return whether there was one."""
        _link(self._best(when), best)
        return best.exists()

    def bring_back_best(self, best: Path) -> bool:
        """Put the best state of the last report back, where it is kept here; return whether it is."""
        return self._best("last").exists() and self.restore_best("last", best)

    def reserve(self, request: str) -> bool:
        """Take this folder for the trial that ``request`` asked for; return whether it is free, or is that one's."""
        mark = self.folder / "asked"
        self._make()
        if not any(self.folder.iterdir()):
            write_atomically(mark, request)
        return mark.exists() and mark.read_text("utf-8") == request

    def share_with(self, branch: DayCheckpoints, until: int) -> None:
        """Give a branch the days up to ``until``; it costs no copy."""
        for day in self.kept(until):
            _link(self.file(day), branch.file(day))

    def _make(self) -> None:
        made(self.folder.parent)
        made(self.folder)

    def _best(self, when: int | str) -> Path:
        return self.folder / (
            f"best-{when:05d}.npz" if isinstance(when, int) else f"best-{when}.npz"
        )

    def _files(self) -> list[int]:
        found = (_DAY_FILE.fullmatch(file.name) for file in self.folder.glob("day-*.npz"))
        return sorted(int(match[1]) for match in found if match)


def _link(source: Path, target: Path) -> None:
    """Let ``target`` be the file that is at ``source`` now, or none: checkpoints are replaced, never changed."""
    if not source.exists():
        target.unlink(missing_ok=True)
        return
    aside = target.with_name(f".{target.name}.{os.getpid()}.part")
    aside.unlink(missing_ok=True)
    try:
        os.link(source, aside)
    except OSError:  # a filesystem without links
        shutil.copyfile(source, aside)
    aside.replace(target)
    aside.unlink(missing_ok=True)  # a rename onto another name of the same file does nothing
