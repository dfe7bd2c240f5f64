"""What was submitted from here: JSON lines in the user's state folder."""

from __future__ import annotations

import os
from pathlib import Path

from orchestrator.errors import PlaceError
from orchestrator.records import JsonLines, read_lines
from orchestrator.targets.job import Job, parse_handle


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
