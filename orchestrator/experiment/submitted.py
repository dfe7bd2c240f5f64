"""Jobs that were submitted: what their place says, joined with what their run says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import PlaceError, UnknownNameError
from orchestrator.records import RunFolder, RunStatus, status_or_damage
from orchestrator.targets import (
    Job,
    JobState,
    fetch_run,
    find_job,
    find_target,
    known_jobs,
    reachable_run,
)


@dataclass(frozen=True)
class JobStatus:
    """A job as its place knows it, and its run where the run's storage is reached from here.

    ``unasked`` is why the place could not be asked, ``state`` then None.
    """

    job: Job
    state: JobState | None
    run: RunStatus | None = None
    unasked: str | None = None

    @property
    def word(self) -> str:
        """One word. A place forgets jobs; a run's records do not."""
        said = "unknown" if self.state is None else self.state.state
        if said in ("unknown", "lost") and self.run is not None and self.run.state == "finished":
            return "finished"
        return said


def status(handle: str) -> JobStatus:
    """Return how a job stands. Raises UnknownNameError for one that nobody knows.

    A place that cannot be asked raises PlaceError where the run's records are not seen from here either.
    """
    job = find_job(handle)
    try:
        return JobStatus(job, find_target(job.target).state(job), _run(job))
    except PlaceError as error:
        run = _run(job)
        if run is None:
            raise
        return JobStatus(job, None, run, str(error))


def job_statuses() -> list[JobStatus]:
    """Return every job submitted from here, oldest first; a place that cannot be asked keeps no other back."""
    return [_asked(job) for job in known_jobs()]


def logs(handle: str, follow: bool = False) -> Iterator[str]:
    """Yield a job's output."""
    job = find_job(handle)
    return find_target(job.target).logs(job, follow)


def stop(handle: str) -> JobStatus:
    """Interrupt a job so that it can go on later, and return how it stands then."""
    job = find_job(handle)
    place = find_target(job.target)
    if place.state(job).active:
        place.stop(job)
    return JobStatus(job, place.state(job), _run(job))


def fetch(handle: str, to: Path) -> Path:
    """Bring a job's run here; return its folder. Raises UnknownNameError for a job not submitted from here."""
    job = find_job(handle)
    if not job.known:
        raise UnknownNameError(
            f"{handle}: expected a job submitted from here, whose storage is known. Received: one that"
            " 'orchestrator jobs' does not list."
        )
    return fetch_run(job, to)


def run_of(handle: str) -> str:
    """Return the folder of a job's run, with ``/TRIAL`` where the handle ends in one.

    Raises UnknownNameError where this machine does not see it.
    """
    job, trial = find_job(handle), ""
    if not job.known and "/" in handle.partition("://")[2]:
        shorter, _, trial = handle.rpartition("/")
        job = find_job(shorter)
    folder = reachable_run(job)
    if folder is None:
        raise UnknownNameError(
            f"{handle}: expected a job whose run this machine sees. Received: one whose results it does not see,"
            " or that has recorded nothing yet; 'orchestrator status' says more, 'orchestrator fetch' brings a run."
        )
    return str(folder / trial)


def _asked(job: Job) -> JobStatus:
    try:
        return JobStatus(job, find_target(job.target).state(job), _run(job))
    except (PlaceError, UnknownNameError) as error:
        return JobStatus(job, None, _run(job), str(error))


def _run(job: Job) -> RunStatus | None:
    folder = reachable_run(job)
    return None if folder is None else status_or_damage(RunFolder.open(folder))
