"""The same command on this machine, in a process of its own that outlives the terminal."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil

from orchestrator.errors import UnknownNameError
from orchestrator.records import write_atomically
from orchestrator.targets.job import LOST, Job, JobState, exited, read_log
from orchestrator.targets.target import EXPERIMENT_FILE, Submission, write_submission

SEES_OUR_FILES = True
POLITE_SECONDS = 60
"""How long a run may take to write down where it is."""

_SCRIPT = """\
#!/bin/sh
# {run}: written by orchestrator submit --target local
job={job}
exec >"$job/local-$$.log" 2>&1 </dev/null
{python} -P -m orchestrator run "$job/{experiment}" --or-resume
echo $? >"$job/local-$$.exit"
"""


def prepare(submission: Submission) -> str:
    """Return the script that runs in a session of its own."""
    return _SCRIPT.format(
        run=submission.run,
        job=shlex.quote(str(submission.folder_there)),
        python=shlex.quote(sys.executable),
        experiment=EXPERIMENT_FILE,
    )


def submit(submission: Submission) -> Job:
    """Start it and return its process."""
    write_submission(submission, submission.folder)
    script = submission.folder / "local.sh"
    write_atomically(script, prepare(submission))
    process = subprocess.Popen(
        ["/bin/sh", str(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    log = submission.folder / f"local-{process.pid}.log"
    log.touch()  # a reader may be quicker than the shell
    about = {"started": psutil.Process(process.pid).create_time()}
    now = datetime.now(UTC).isoformat(timespec="seconds")
    process.returncode = 0  # it outlives us: Python need not warn that nobody waited for it
    return Job("local", str(process.pid), submission.run, now, submission.results, about)


def state(job: Job) -> JobState:
    """Return how the process stands, from itself or from the exit code it left."""
    _check_known(job)
    if _process(job) is not None:
        return JobState("running", "alive")
    left = _file(job, "exit")
    if not left.is_file():
        return JobState(LOST.state, "gone", "it was killed before it could say how it ended")
    return exited(int(left.read_text() or "-1"))


def logs(job: Job, follow: bool) -> Iterator[str]:
    """Yield its output."""
    _check_known(job)
    return read_log(_file(job, "log"), follow, lambda: state(job))


def stop(job: Job) -> None:
    """Interrupt the run as Ctrl-C does; what does not end within a minute is killed."""
    _check_known(job)
    shell = _process(job)
    if shell is None:
        return
    asked: set[int] = set()
    deadline = time.monotonic() + POLITE_SECONDS
    while _process(job) is not None and time.monotonic() < deadline:
        # Looked for again and again: a shell that has just begun has none yet.
        for driver in _children(shell):
            with suppress(psutil.NoSuchProcess):
                driver.terminate() if driver.pid not in asked else None
            asked.add(driver.pid)
        time.sleep(0.1)
    for left in [*_children(shell), shell] if _process(job) is not None else []:
        with suppress(psutil.NoSuchProcess):
            left.kill()


def _children(shell: psutil.Process) -> list[psutil.Process]:
    """Return what a shell started; nothing where it ended a moment ago."""
    try:
        return shell.children()
    except psutil.NoSuchProcess:
        return []


def _process(job: Job) -> psutil.Process | None:
    """Return the job's shell while it lives: the same process, not one that got its number."""
    try:
        process = psutil.Process(int(job.id))
        same = process.create_time() == job.about.get("started")
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def _file(job: Job, ending: str) -> Path:
    return (job.folder or Path()) / f"local-{job.id}.{ending}"


def _check_known(job: Job) -> None:
    if not job.known:
        raise UnknownNameError(
            f"{job.handle}: expected a job submitted from this account. Received: one that"
            " 'orchestrator jobs' does not list."
        )
