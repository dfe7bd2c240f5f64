"""A run's folder: where each of its files lies, how it is made and how it is found again."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import (
    ExperimentFileError,
    PlaceError,
    RecordError,
    RunExistsError,
    UnknownNameError,
    explain,
)
from orchestrator.records.atomic_write import lies_below, made, write_atomically
from orchestrator.records.line_fields import SAFE_NAME
from orchestrator.redaction import redact, redacted

FORMAT = 2
"""What the files of a run's folder look like, by number: one of another number is refused, never guessed at."""


class _Entry:
    """A file or a folder of that name in a run's folder, as an attribute of that."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: RunFolder, owner: type[RunFolder]) -> Path:
        return folder.path / self._name


@dataclass(frozen=True)
class RunFolder:
    """The paths of one run below ``path``."""

    path: Path

    experiment_file = _Entry("experiment.yaml")
    """The complete experiment as run, its search space written inline."""
    manifest_file = _Entry("manifest.json")
    """Versions, commit, seed, machine, data fingerprint, command."""
    trials_file = _Entry("trials.jsonl")
    """Trials started and ended, as JSON lines."""
    epochs_file = _Entry("epochs.jsonl")
    """One JSON line an epoch of a trial."""
    events_file = _Entry("events.jsonl")
    """What happened to the run as a whole, as JSON lines."""
    driver_file = _Entry("driver.json")
    """Who drives the run, beaten every few seconds: the lock."""
    journal_file = _Entry("journal.jsonl")
    """What was asked of a babysat model, what was done and what it did, as JSON lines."""
    requests = _Entry("requests")
    """The folder into which requests to a model in training are put, one file each."""
    report_file = _Entry("report.html")
    """The run as a page for a browser, written when it ends."""
    best = _Entry("best")
    """The winner: model.keras, hyperparameters.yaml, metrics.json."""
    logs = _Entry("logs")
    """Full errors of failed trials, and the run's own log."""
    checkpoints = _Entry("checkpoints")
    """The checkpoints kept: the best few over all trials."""

    @property
    def name(self) -> str:
        """The run's name, which is its folder's."""
        return self.path.name

    @classmethod
    def create(
        cls,
        storage: str | Path,
        name: str,
        fill: Callable[[RunFolder], None] = lambda folder: None,
    ) -> RunFolder:
        """Make the folder ``storage/name`` with its empty subfolders, and with what ``fill`` writes.

        It is made aside and then renamed: killed at any moment, there is a whole run or none.
        Raises RunExistsError where anything of that name exists, ExperimentFileError where the name
        is not one plain folder name, PlaceError where the folder cannot be made.
        """
        if not SAFE_NAME.fullmatch(name):
            expected = "a folder name of letters, digits, '.', '_' and '-', not starting with '.'"
            raise ExperimentFileError(explain("name", expected, name))
        folder = cls(Path(storage) / name)
        try:
            folder.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _no_place(folder.path, error) from None
        if folder.exists:
            raise folder.taken()
        aside = cls(folder.path.with_name(f".{name}.{secrets.token_hex(8)}.part"))
        try:
            for part in (aside.path, aside.best, aside.logs, aside.checkpoints):
                part.mkdir()
            fill(aside)
            aside.path.rename(folder.path)
        except OSError as error:
            # What rename answers where a folder, or a file, has been made there meanwhile.
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise folder.taken() from None
            raise _no_place(folder.path, error) from None
        finally:
            shutil.rmtree(aside.path, ignore_errors=True)
        return folder

    @property
    def exists(self) -> bool:
        """Whether anything of this name is there."""
        return self.path.exists() or self.path.is_symlink()

    def remove(self) -> None:
        """Remove this folder: of a run in which nothing began."""
        shutil.rmtree(self.path, ignore_errors=True)

    def check_place(self) -> None:
        """Raise PlaceError where this folder could not be made; nothing is written."""
        place = self.path.absolute().parent
        try:
            while not place.exists():
                place = place.parent
            if not place.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, f"{place} is a file")
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, f"{place} cannot be written to")
        except OSError as error:
            raise _no_place(self.path, error) from None

    def taken(self) -> RunExistsError:
        """Return the refusal of this folder's name for a new run."""
        return RunExistsError(
            f"{self.path}: a run of that name exists and is not overwritten unasked. See it with "
            f"'orchestrator show {self.path}', continue it with 'orchestrator resume {self.path}' if "
            f"it was cut off, choose another name with '--set name=...', have runs numbered with '--set name=auto', or "
            f"replace it with '--overwrite'."
        )

    def unusable(self, said: str) -> PlaceError:
        """Return why a run cannot continue whose own folder fails."""
        return PlaceError(
            f"{self.path}: cannot read or write the run's folder: {said}. Its trials stay open; fix that, then"
            f" 'orchestrator resume {self.path}'."
        )

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Turn what the system says of a file below this folder, while the block runs, into one sentence."""
        try:
            yield
        except OSError as error:
            if not lies_below(error, self.path):
                raise
            raise self.unusable(f"{type(error).__name__}: {error}") from error

    @classmethod
    def open(cls, run: str | Path, storage: str | Path = "./runs") -> RunFolder:
        """Return an existing run: a bare name is looked up below ``storage``, else it is a path.

        Raises UnknownNameError where there is none, RecordError where it is, or holds, a link: what is written into
        a run's folder stays there.
        """
        reference = str(run)
        if SAFE_NAME.fullmatch(reference):
            named = cls(Path(storage) / reference)
            if named._holds_run() and not named.path.is_symlink():
                return named._without_links()
        folder = cls(Path(run))
        if folder._holds_run():
            return (cls(folder.path.resolve()) if not folder.name else folder)._without_links()
        known = run_names(storage)
        where = f"run below {storage}" + ("" if known else ", which holds no runs")
        raise UnknownNameError(
            explain(where, "a run's name, or the path of its folder", reference, known)
        )

    @classmethod
    def find(cls, reference: str, storage: str | Path = "./runs") -> tuple[RunFolder, str | None]:
        """Return the run that ``RUN/TRIAL`` or ``RUN`` names, as ``open`` does, and the trial's name, if any.

        Whether the run has that trial is not looked at. Raises as ``open`` does.
        """
        try:
            return cls.open(reference, storage), None
        except UnknownNameError:
            run, _, trial = reference.rpartition("/")
            if not run or not trial:
                raise
            return cls.open(run, storage), trial

    def write_experiment(self, text: str) -> None:
        """Keep the complete experiment (YAML) as it is run."""
        write_atomically(self.experiment_file, text)

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Keep the facts about this run's surroundings, and the number of the format that its folder has."""
        text = json.dumps(
            redacted({**manifest, "format": FORMAT}), indent=2, ensure_ascii=False, default=str
        )
        write_atomically(self.manifest_file, text + "\n")

    def write_log(self, trial: str, text: str) -> str:
        """Keep a trial's full error; return its path relative to the run's folder."""
        file = made(self.logs) / f"{trial}.txt"
        write_atomically(file, redact(text))
        return file.relative_to(self.path).as_posix()

    def sweep(self) -> None:
        """Delete what killed writers had begun; nobody but the driver's own writes where that lies."""
        begun = [*self.checkpoints.glob(".*.part"), *self.checkpoints.glob("*/.*.part")]
        for file in [*begun, *self.path.glob(".room-*")]:
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)

    def _holds_run(self) -> bool:
        try:
            return self.experiment_file.is_file()
        except OSError:  # a name too long for a file
            return False

    def _without_links(self) -> RunFolder:
        found = str(self.path) if self.path.is_symlink() else first_that_is_no_file(str(self.path))
        if found is not None:
            expected = "expected files and folders of the run's own"
            received = "a link" if Path(found).is_symlink() else "something else"
            raise RecordError(explain(found, expected, received))
        return self


def first_that_is_no_file(folder: str) -> str | None:
    """Return the first entry below a folder that is neither a file nor a folder itself; None where all are."""
    try:
        with os.scandir(folder) as entries:
            found = (_in_entry(entry) for entry in entries)
            # lexists: a run in progress may have deleted it since it was listed.
            return next((each for each in found if each and os.path.lexists(each)), None)
    except FileNotFoundError:  # a run that goes on replaces and deletes files of its own
        return None


def _in_entry(entry: os.DirEntry[str]) -> str | None:
    if entry.is_dir(follow_symlinks=False):
        return first_that_is_no_file(entry.path)
    return None if entry.is_file(follow_symlinks=False) else entry.path


def _no_place(path: Path, error: OSError) -> PlaceError:
    expected = "a place where a run's folder can be made"
    return PlaceError(explain("storage_path", expected, f"{path}: {error.strerror}"))


def run_names(storage: str | Path) -> list[str]:
    """Return the names of the runs below ``storage``, sorted."""
    place = Path(storage)
    if not place.is_dir():
        return []
    holding = (child.parent for child in place.glob("[!.]*/experiment.yaml"))
    return sorted(run.name for run in holding if not run.is_symlink())
