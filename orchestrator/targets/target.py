"""What is submitted, and what each place keeps to: five functions of a module, found by its name."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Protocol, cast

from orchestrator.config.targets import TARGETS, PlaceOptions
from orchestrator.errors import PlaceError, UnknownNameError, explain
from orchestrator.targets.job import Job, JobState, job_folder

EXPERIMENT_FILE = "experiment.yaml"
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class SentFile:
    """A file of the user's, and where it lies beside the experiment at the place."""

    source: Path
    there: str

    @property
    def bytes(self) -> int:
        """How large it is."""
        return self.source.stat().st_size

    @property
    def is_program(self) -> bool:
        """Whether its owner may run it: so it is at the place too."""
        return bool(self.source.stat().st_mode & stat.S_IXUSR)


@dataclass(frozen=True)
class Submission:
    """A run to be, complete: nothing of it depends on where it is read.

    ``document`` is the experiment as YAML, references to secrets still ``${ENV:NAME}``, its own references
    relative to itself. ``storage`` is the folder of runs as the place sees it, ``results`` the same as this machine
    reaches it (a folder or a URI), empty where that is not known. ``reads`` are the folders that it reads where they
    are, at a place that sees them.
    """

    run: str
    document: str
    files: tuple[SentFile, ...]
    options: PlaceOptions
    storage: str
    results: str
    reads: tuple[Path, ...] = ()

    @property
    def folder(self) -> Path:
        """Where a shared filesystem keeps what is sent, seen from here."""
        return job_folder(self.results, self.run)

    @property
    def folder_there(self) -> PurePosixPath:
        """The same folder as the place sees it."""
        return PurePosixPath(job_folder(self.storage, self.run))


def write_submission(submission: Submission, folder: Path) -> None:
    """Put the experiment and its files into a folder, readable by their owner alone.

    Raises PlaceError where that cannot be.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _close_to_others(folder)
        for sent in submission.files:
            file = folder / sent.there
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(sent.source.read_bytes())
            if sent.is_program:
                file.chmod(stat.S_IMODE(file.stat().st_mode) | stat.S_IXUSR)
        (folder / EXPERIMENT_FILE).write_text(
            submission.document, encoding="utf-8", errors="backslashreplace"
        )
    except OSError as error:
        raise PlaceError(
            f"{folder}: expected a folder that can be written. Received: {error.strerror}."
        ) from None


def _close_to_others(folder: Path) -> None:
    """Take from others what an older folder lets them do. Raises PlaceError where it is another user's, or a link."""
    found = folder.lstat()
    if stat.S_ISLNK(found.st_mode) or (os.getuid() and found.st_uid != os.getuid()):
        received = "a link" if stat.S_ISLNK(found.st_mode) else "another user's"
        raise PlaceError(explain(str(folder), "a folder of yours for what is sent", received))
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


def check_size(files: Iterable[SentFile], most_megabytes: int, where: str) -> None:
    """Raise PlaceError, naming the largest files, where they are together more than may be sent."""
    largest = sorted(files, key=lambda sent: sent.bytes, reverse=True)
    total = sum(sent.bytes for sent in largest)
    if total <= most_megabytes * MEGABYTE:
        return
    named = ", ".join(f"{sent.source} ({_size(sent.bytes)})" for sent in largest[:3])
    raise PlaceError(
        f"{where}: expected at most {most_megabytes} MB to send. Received: {_size(total)}, the largest"
        f" {named}; nothing was sent. Put it where the place sees it and name it by its absolute path."
    )


def _size(number: int) -> str:
    return f"{number / MEGABYTE:.1f} MB"


class Target(Protocol):
    """A place that runs ``orchestrator run FILE --or-resume`` for us.

    All raise PlaceError, one sentence with what to do, where the place or its client cannot be had.
    """

    SEES_OUR_FILES: bool
    """Whether the place shares this machine's filesystem, so that data is named and not sent."""

    def prepare(self, submission: Submission) -> str:
        """Return exactly what would be sent (a script, a manifest, a request). Pure."""

    def submit(self, submission: Submission) -> Job:
        """Send what ``prepare`` returns, and the submission's files, and return the job."""

    def state(self, job: Job) -> JobState:
        """Return how a job stands; ``lost`` where the place has forgotten it.

        Raises UnknownNameError for a job that the place has never had and that was not submitted from here.
        """

    def logs(self, job: Job, follow: bool) -> Iterator[str]:
        """Yield pieces of the job's output; with ``follow``, until it has ended."""

    def stop(self, job: Job) -> None:
        """Interrupt a job politely, so that it can go on later, then harder; return once it has ended."""


def find_target(name: str) -> Target:
    """Return the module that keeps the contract for a place. Raises UnknownNameError."""
    if name not in TARGETS:
        raise UnknownNameError(explain("--target", "unknown target", name, TARGETS))
    return cast("Target", import_module(f"orchestrator.targets.{name}"))
