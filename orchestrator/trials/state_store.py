"""Where the states of a run's trials lie. Names and contents of their files are known in this room alone."""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.errors import RecordError, TrialError, explain
from orchestrator.records import Mode, RunFolder, flush_folder, made, put_too, score_of
from orchestrator.trials.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from orchestrator.trials.days import DayCheckpoints

_LAST = ".last.npz"
_FILES = ".files"


@dataclass(frozen=True)
class StateFolders:
    """The states of one trial that are files of its own making: a folder each, written once and never changed.

    A folder is named after its epoch and its content, so that its name, which a ``.npz`` keeps as ``state``, proves it.
    """

    folder: Path

    def begin(self) -> Path:
        """Return a new, empty folder; until it is kept it is no state."""
        made(self.folder.parent)
        made(self.folder)
        for number in itertools.count():
            aside = self.folder / f".{os.getpid()}-{number}.part"
            if not aside.exists():
                return made(aside)
        raise AssertionError

    def keep(self, written: Path, epoch: int) -> str:
        """Make what was written into a folder from ``begin`` the state after ``epoch``; return its name.

        Raises TrialError where it holds no file, or anything but files and folders.
        """
        files = _entries(written)
        if not any(file.is_file() for file in files):
            expected = "expected files in the folder that is to be the trial's state"
            raise TrialError(explain("checkpoint", expected, "none"))
        name = f"{epoch:05d}-{_digest(written, files, flush=True)}"
        if (self.folder / name).exists():  # the same, kept before
            self.drop(written)
            return name
        written.rename(self.folder / name)
        flush_folder(self.folder)
        return name

    def bring(self, state: Path, epoch: int) -> str:
        """Make another trial's state one of this trial's, after ``epoch``; return its name."""
        written = self.begin()
        shutil.copytree(state, written, copy_function=_linked, dirs_exist_ok=True)
        return self.keep(written, epoch)

    def drop(self, written: Path) -> None:
        """Delete a folder from ``begin``."""
        shutil.rmtree(written, ignore_errors=True)

    def sweep(self) -> None:
        """Delete what a process that was killed had begun."""
        for begun in self.folder.glob(".*.part"):
            self.drop(begun)

    def find(self, name: str) -> Path:
        """Return a state's folder. Raises RecordError where it is gone, or not as it was kept."""
        found = self.folder / name
        try:
            whole = _digest(found, _entries(found)) == name.partition("-")[2]
        except (OSError, TrialError):
            whole = False
        if not whole:
            raise RecordError(f"{found}: expected a trial's state as it was kept.")
        return found

    def keep_only(self, names: Collection[str | None]) -> None:
        """Delete all states but those of these names."""
        for kept in self.folder.glob("[!.]*"):
            if kept.name not in names:
                shutil.rmtree(kept, ignore_errors=True)
        if not any(names):
            shutil.rmtree(self.folder, ignore_errors=True)


def epoch_of(state: str | None) -> int:
    """Return after which epoch a state was kept; 0 where there is none."""
    return int(state.partition("-")[0]) if state else 0


def _linked(source: str, target: str) -> None:
    """Have a file under another name too: states are replaced, never changed."""
    try:
        os.link(source, target)
    except OSError:  # a filesystem without links, or another one
        shutil.copyfile(source, target)


def _entries(folder: Path) -> list[Path]:
    """Return the files and folders below a folder, in an order of their names."""
    found = []
    for place, folders, files in os.walk(folder, onerror=_raised):
        folders.sort()
        found += [Path(place, name) for name in sorted([*folders, *files])]
    for entry in found:
        if entry.is_symlink() or not (entry.is_file() or entry.is_dir()):
            expected = "expected files and folders in the folder that is to be the trial's state"
            raise TrialError(explain("checkpoint", expected, f"{entry.name}, which is neither"))
    return found


def _raised(error: OSError) -> None:
    raise error


def _digest(folder: Path, entries: list[Path], flush: bool = False) -> str:
    """Return a digest of what is in a folder; ``flush``: all of it is on the disk then."""
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(os.fsencode(entry.relative_to(folder)) + b"\0")
        if entry.is_dir():
            if flush:
                flush_folder(entry)
            continue
        with entry.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
            if flush:
                os.fsync(file.fileno())
    if flush:
        flush_folder(folder)
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class StateStore:
    """The best state of each trial, the last state of each one in training, and the days of babysat ones."""

    folder: Path

    @classmethod
    def of(cls, run: RunFolder) -> StateStore:
        """Return the store of a run."""
        return cls(run.checkpoints)

    def best(self, trial: str) -> Path:
        """Return where a trial's best state lies."""
        return self.folder / f"{trial}.npz"

    def last(self, trial: str) -> Path:
        """Return where a trial's last state lies while it trains."""
        return self.folder / f"{trial}{_LAST}"

    def days(self, trial: str, keep_days: int | None = None) -> DayCheckpoints:
        """Return the days of a babysat trial."""
        return DayCheckpoints(self.folder / trial, keep_days)

    def files(self, trial: str) -> StateFolders:
        """Return the states of a trial that are folders of files."""
        return StateFolders(self.folder / f"{trial}{_FILES}")

    def has_best(self, trial: str) -> bool:
        """Return whether a trial's best state is kept; a babysat one's is put back from beside its days."""
        best = self.best(trial)
        return best.exists() or self.days(trial).bring_back_best(best)

    def with_best(self) -> list[str]:
        """Return the trials whose best state is kept."""
        kept = (file.name for file in self.folder.glob("*.npz") if not file.name.endswith(_LAST))
        return sorted(name.removesuffix(".npz") for name in kept)

    def about(self, state: Path) -> dict[str, Any]:
        """Return what a state tells of itself: trial, epoch, seed, what was chosen. Raises RecordError."""
        return load_checkpoint(state).about

    def last_states(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each trial that has a whole last state, and what that tells of itself."""
        for file in sorted(self.folder.glob(f"*{_LAST}")):
            try:
                yield file.name.removesuffix(_LAST), self.about(file)
            except RecordError:
                continue  # the trial will start again

    def forget_last(self, trial: str) -> None:
        """Delete a trial's last state: it is over, or starts again."""
        self.last(trial).unlink(missing_ok=True)
        self.forget_unnamed(trial)

    def forget_best(self, trial: str) -> None:
        """Delete a trial's best state: better ones are kept."""
        self.best(trial).unlink(missing_ok=True)
        self.forget_unnamed(trial)

    def forget(self, trial: str) -> None:
        """Delete a trial's states: it begins anew."""
        self.best(trial).unlink(missing_ok=True)
        self.forget_last(trial)

    def forget_unnamed(self, trial: str) -> None:
        """Delete the folders of files of a trial that none of its states names any more."""
        files = self.files(trial)
        if files.folder.is_dir():
            days = self.days(trial).folder.glob("*.npz")
            files.keep_only({self._named(f) for f in (self.best(trial), self.last(trial), *days)})

    def share(self, trial: str, branch: str, until: int) -> None:
        """Give a branch a babysat trial's days up to ``until``, and the files of each; it costs no copy."""
        self.days(trial).share_with(self.days(branch), until)
        for day in self.days(branch).kept(until):
            state = self._named(self.days(branch).file(day))
            if state is not None:
                self.files(branch).bring(self.files(trial).find(state), epoch_of(state))

    def _named(self, state: Path) -> str | None:
        try:
            return self.about(state).get("state")
        except RecordError:
            return None

    def go_on_from_best(self, trial: str, epoch: int, metric: str, mode: Mode) -> bool:
        """Make a trial's best state its last one, from which it goes on, where it is that of its last ``epoch``.

        One that is a folder of files may be an earlier one: what is reported again of epochs that are known is not
        heard. Returns whether there is a last state now; a trial without one trains again from its seed, which gives
        the same.
        """
        best, last = self.best(trial), self.last(trial)
        if last.exists() or not best.exists():
            return last.exists()
        try:
            found = load_checkpoint(best)
        except RecordError:
            return False
        about = found.about
        score = score_of(about, metric, mode) if "metrics" in about else None
        if score is None or not (about.get("epoch") == epoch or about.get("state")):
            return False
        about = {**about, "epoch": epoch, "best": score.to_plain(), "rows": []}
        save_checkpoint(last, Checkpoint(found.model, found.optimizer, about))
        return True


def forget_all_but(states: StateStore, trials: Collection[str]) -> None:
    """Delete the states of trials other than these."""
    kept = (file.name.removesuffix(_LAST) for file in states.folder.glob("*.npz"))
    for trial in {name.removesuffix(".npz") for name in kept}.difference(trials):
        states.forget(trial)


def keep_best_as_last(states: StateStore, trial: str) -> None:
    """Have a trial's best state, which was written just now, be its last one too, without a copy if that can be."""
    put_too(states.best(trial), states.last(trial))
    flush_folder(states.folder)


def brought(states: StateStore, file: Path, trial: str) -> Checkpoint:
    """Return another trial's state at ``file`` as that of ``trial`` before its first epoch.

    Where it was kept as a folder of files, the trial gets a copy. Raises RecordError.
    """
    found = load_checkpoint(file)
    state = found.about.get("state")
    if state is not None:
        theirs = StateFolders(file.with_suffix(_FILES)).find(state)
        state = states.files(trial).bring(theirs, 0)
    return replace(found, about={**found.about, "epoch": 0, "state": state})


def waiting_state(states: StateStore, trial: str, epoch: int) -> Checkpoint | None:
    """Return a trial's last state if it is the one after ``epoch``; None where it is gone, or another one."""
    try:
        found = load_checkpoint(states.last(trial))
    except RecordError:
        return None
    return found if found.about["epoch"] == epoch else None
