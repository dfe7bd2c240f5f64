"""What each place keeps to: five functions of a module, found through the table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from orchestrator.targets.job import Job
from orchestrator.targets.states import JobState
from orchestrator.targets.submission import Submission


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
