"""The commands for runs elsewhere: submit, logs, fetch, jobs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import ExperimentFile, Format, Output, Overrides
from orchestrator.cli.output import destination, say, terminal_width
from orchestrator.errors import RequestError

if TYPE_CHECKING:
    from orchestrator.experiment.submission import JobStatus
    from orchestrator.targets import Job


Handle = Annotated[
    str,
    typer.Argument(
        metavar="HANDLE",
        help="The handle that submit printed, such as slurm://421.",
        show_default=False,
    ),
]
FAILED = 1


def submit(
    file: ExperimentFile,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            metavar="NAME",
            show_default=False,
            help="local, slurm, ray, kuberay or docker. Default: the file's only target.",
        ),
    ] = None,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be sent, but send nothing.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Show the job's output until it has ended.")
    ] = False,
) -> None:
    """Run an experiment as a job of Slurm, Ray, Kubernetes or Docker, or detached on this machine."""
    from orchestrator.experiment import submission
    from orchestrator.targets import find_target

    name, prepared = submission.make_submission(file, overrides or (), target)
    if dry_run:
        sys.stdout.write(find_target(name).prepare(prepared))
        for sent in prepared.files:
            say(f"with it: {sent.there}, {sent.bytes:,} bytes", err=True)
        return
    job = submission.submit(name, prepared)
    say(job.handle)
    if follow:
        follow_to_the_end(job.handle)


def logs(
    handle: Handle,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Keep printing until the job has ended.")
    ] = False,
) -> None:
    """Print a job's output."""
    from orchestrator.experiment import submission

    for piece in submission.logs(handle, follow):
        say(piece, nl=False)


def fetch(
    handle: Handle,
    to: Annotated[
        Path, typer.Option("--to", metavar="DIR", help="Copy the run's folder into this folder.")
    ] = Path("runs"),
) -> None:
    """Copy the whole folder of a job's run to this machine, from wherever it is."""
    from orchestrator.experiment import submission

    say(f"fetched {submission.fetch(handle, to)}")


def jobs(format: Format = None, output: Output = None) -> None:
    """List the jobs submitted from this machine, and their states."""
    from orchestrator.experiment import submission
    from orchestrator.report import jobs_table

    where = destination(format, output)
    statuses = submission.job_statuses()
    if statuses or not where.for_people or where.output:
        where.write(jobs_table([_row(one) for one in statuses]))
    else:
        say("no jobs; orchestrator submit FILE --target NAME starts one", err=True)
    for one in statuses:
        if one.unasked:
            say(f"{one.job.handle}: {one.unasked}", err=True)


def stop_job(handle: str, options: Mapping[str, object]) -> None:
    """Interrupt a job. Raises RequestError for options that only a panda understands."""
    from orchestrator.experiment import submission

    for name, value in options.items():
        if value is not None:
            raise RequestError(f"stop {handle}: {name} is for a panda's run, not for a job.")
    say("\n".join(status_lines(submission.stop(handle))))


def follow_to_the_end(handle: str) -> None:
    """Show a job's output until it ends. Exits 1 where it did not end well."""
    from orchestrator.experiment import submission

    for piece in submission.logs(handle, follow=True):
        say(piece, nl=False, err=True)
    ended = submission.status(handle)
    say("\n".join(status_lines(ended)), err=True)
    if ended.word != "finished":
        raise typer.Exit(FAILED)


def status_lines(found: JobStatus) -> list[str]:
    """Return what is known of a job: its target's state, then its run's."""
    from orchestrator.report.status_text import said_name
    from orchestrator.report.status_text import status_lines as run_lines

    job, state = found.job, found.state
    if state is None:
        lines = [f"{job.handle}: {found.word}, by its records alone", f"  {found.unasked}"]
    else:
        reason = f", {state.reason}" if state.reason else ""
        lines = [f"{job.handle}: {found.word} ({state.native}{reason})"]
    if job.known:
        lines.append(f"  submitted {job.submitted}, {_where(job)}")
    if found.run is not None:
        name = said_name(found.run.folder, job.results)
        return [*lines, *run_lines(found.run, name, terminal_width())]
    if "://" in job.results:
        lines.append(f"  to copy its records here: orchestrator fetch {job.handle}")
    elif job.known:
        lines.append("  nothing is recorded yet, or this machine cannot see it")
    return lines


def _where(job: Job) -> str:
    if job.results:
        return f"results in {job.results}/{job.run}"
    return f"results not visible from here: target.{job.target}.results is not set"


def job_facts(found: JobStatus) -> dict[str, Any]:
    """Return what is known of a job as plain values."""
    job, state = found.job, found.state
    facts = {"job": job.handle, "state": found.word, "native": state.native if state else None}
    facts["reason"] = state.reason if state else found.unasked
    return facts | {"run": asdict(found.run) if found.run else None}


def _row(found: JobStatus) -> dict[str, Any]:
    job, run = found.job, found.run
    row: dict[str, Any] = {
        "job": job.handle,
        "state": found.word,
        "run": job.run,
        "submitted": job.submitted,
        "results": job.results,
    }
    if run is None:
        return row
    return row | {"trials_done": run.trials_done, "trials": run.trials, "best": run.best}
