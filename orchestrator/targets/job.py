"""A submitted job: its handle, how it stands, its log, and the list of those submitted from here."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from orchestrator.config.targets import TARGETS
from orchestrator.errors import PlaceError, UnknownNameError, explain
from orchestrator.records import JsonLines, read_lines

State = Literal["queued", "running", "finished", "failed", "stopped", "lost"]
ACTIVE: tuple[State, ...] = ("queued", "running")

EXITS: Mapping[int, State] = {
    0: "finished",
    1: "failed",
    2: "failed",
    130: "stopped",
    143: "stopped",
}
"""What our own command's exit codes say; any other is a failure."""


@dataclass(frozen=True)
class JobState:
    """One of our words, the place's own word for it, and what it adds."""

    state: State
    native: str
    reason: str | None = None

    @property
    def active(self) -> bool:
        """Whether the job waits or runs."""
        return self.state in ACTIVE


def exited(code: int) -> JobState:
    """Return the state of a job whose command ended."""
    return JobState(EXITS.get(code, "failed"), f"exit code {code}")


LOST = JobState("lost", "unknown there", "the target no longer knows it")


_HANDLE = re.compile(r"(?P<target>[a-z]+)://(?P<id>[A-Za-z0-9][A-Za-z0-9._/-]*)")


@dataclass(frozen=True)
class Job:
    """One job, by the name that its place gave it.

    ``run`` is the run's name; ``results`` is where its storage is reached from here, a folder or a URI, empty where
    that is not known; ``about`` holds what else its target needs (an address, a process's start). All but the first
    two are empty for a job that was not submitted from here.
    """

    target: str
    id: str
    run: str = ""
    submitted: str = ""
    results: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def handle(self) -> str:
        """What one pastes: slurm://421."""
        return f"{self.target}://{self.id}"

    @property
    def known(self) -> bool:
        """Whether it was submitted from here."""
        return bool(self.run)

    @property
    def folder(self) -> Path | None:
        """The folder that holds what was sent and its log, where that is a folder of this machine."""
        if not self.run or not self.results or "://" in self.results:
            return None
        return job_folder(self.results, self.run)

    def to_entry(self) -> dict[str, Any]:
        """Return the job as plain values."""
        return {**asdict(self), "about": dict(self.about)}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Job:
        """Return the job that plain values describe."""
        names = ("target", "id", "run", "submitted", "results", "about")
        return cls(**{name: entry[name] for name in names})


def job_folder(results: str | Path, run: str) -> Path:
    """Return where a run's jobs keep what was sent and their logs: beside the runs, and not one of them."""
    return Path(results) / ".jobs" / run


def parse_handle(text: str) -> tuple[str, str]:
    """Return the target and the place's own name for a job.

    Raises UnknownNameError where it is no handle, or of a place that is not known.
    """
    found = _HANDLE.fullmatch(text)
    if found is None:
        raise UnknownNameError(explain("job", "a handle such as slurm://421", text))
    if found["target"] not in TARGETS:
        raise UnknownNameError(explain(text, "unknown target", found["target"], TARGETS))
    return found["target"], found["id"]


_PIECE = 1 << 16
_SECONDS = 0.5


def read_log(file: Path, follow: bool, state: Callable[[], JobState]) -> Iterator[str]:
    """Yield a log's text; with ``follow``, what is added too, until the job has ended.

    Raises PlaceError where a job that has begun has none.
    """
    position = 0
    while True:
        current = state()
        if file.is_file():
            for piece in _pieces(file, position):
                position += len(piece)
                yield piece.decode("utf-8", "replace")
        elif not follow and current.state != "queued":
            raise PlaceError(f"{file}: expected the job's log. Received: no such file.")
        if not follow or not current.active:
            return
        time.sleep(_SECONDS)


def _pieces(file: Path, position: int) -> Iterator[bytes]:
    with file.open("rb") as log:
        log.seek(position)
        while piece := log.read(_PIECE):
            yield piece


def registry_file() -> Path:
    """Return where it lies: below XDG_STATE_HOME, ~/.local/state where that is not set."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "orchestrator" / "jobs.jsonl"


def remember(job: Job) -> None:
    """Add a job. Raises PlaceError where it cannot be written; the job runs all the same."""
    file = registry_file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with JsonLines(file) as lines:
            lines.append(job.to_entry())
    except OSError as error:
        raise PlaceError(
            f"{job.handle} was submitted, but {file} cannot be written ({error.strerror}): note the handle."
        ) from None


def known_jobs() -> list[Job]:
    """Return every job submitted from here, the latest of each handle, oldest first."""
    latest: dict[str, Job] = {}
    for entry in read_lines(registry_file()):
        job = Job.from_entry(entry)
        latest.pop(job.handle, None)
        latest[job.handle] = job
    return list(latest.values())


def find_job(handle: str) -> Job:
    """Return a job by its handle; one that was not submitted from here knows its place and name alone."""
    target, name = parse_handle(handle)
    for job in known_jobs():
        if job.handle == handle:
            return job
    return Job(target, name)
