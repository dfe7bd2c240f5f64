"""A batch job of Slurm: one node, or several with Ray's head on the first.

The script's parts are files in ``slurm/``; what is filled in is the ``#SBATCH`` lines and a few variables.
"""

from __future__ import annotations

import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from orchestrator.catalog import bundled_file
from orchestrator.config.targets import SlurmOptions
from orchestrator.errors import PlaceError, UnknownNameError
from orchestrator.records import write_atomically
from orchestrator.targets.commands import run, run_checked
from orchestrator.targets.job import EXITS, LOST, Job, JobState, State, exited, read_log
from orchestrator.targets.target import Submission, write_submission

SEES_OUR_FILES = True
POLITE_SECONDS = 60
"""How long a run may take to write down where it is."""
_CLIENT = (
    "Submit from a login node of the cluster, or install Slurm's client (Debian: apt install slurm-client)"
    " with the cluster's slurm.conf."
)
NATIVE: Mapping[str, State] = {
    "PENDING": "queued",
    "CONFIGURING": "queued",
    "REQUEUED": "queued",
    "REQUEUE_HOLD": "queued",
    "REQUEUE_FED": "queued",
    "RESV_DEL_HOLD": "queued",
    "SPECIAL_EXIT": "queued",
    "RUNNING": "running",
    "COMPLETING": "running",
    "RESIZING": "running",
    "SIGNALING": "running",
    "STAGE_OUT": "running",
    "STOPPED": "running",
    "SUSPENDED": "running",
    "COMPLETED": "finished",
    "BOOT_FAIL": "failed",
    "FAILED": "failed",
    "LAUNCH_FAILED": "failed",
    "NODE_FAIL": "failed",
    "OUT_OF_MEMORY": "failed",
    "RECONFIG_FAIL": "failed",
    "CANCELLED": "stopped",
    "DEADLINE": "stopped",
    "PREEMPTED": "stopped",
    "REVOKED": "stopped",
    "TIMEOUT": "stopped",
}
"""Slurm's words for a job; what is stopped goes on when it is submitted again."""


def prepare(submission: Submission) -> str:
    """Return the batch script."""
    options = _options(submission)
    head = [
        "#!/bin/bash",
        f"# {submission.run}: written by orchestrator submit --target slurm",
        *(f"#SBATCH {line}" for line in _directives(submission, options)),
        "",
        f"run={shlex.quote(f'{submission.storage}/{submission.run}')}",
        f"job={shlex.quote(str(submission.folder_there))}",
        *_python(submission, options),
        f"cpus={options.cpus} gpus={options.gpus} requeue={options.requeue}",
        "tmp=/tmp/orch-$SLURM_JOB_ID",
    ]
    setup = ["", "# target.slurm.setup", *options.setup] if options.setup else []
    several = "several-nodes" if options.nodes > 1 else "one-node"
    parts = ["begin", *(["image"] if options.image else []), "start", several, "run"]
    begin, *rest = [bundled_file("slurm", part).read_text() for part in parts]
    return _lines(head) + begin + _lines(setup) + "".join(rest)


def _lines(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def submit(submission: Submission) -> Job:
    """Hand the script to sbatch."""
    run_checked(["sbatch", "--version"], _CLIENT)  # before anything is written
    write_submission(submission, submission.folder)
    script = submission.folder / "slurm.sh"
    write_atomically(script, prepare(submission))
    number = run_checked(["sbatch", "--parsable", str(script)], _CLIENT).strip().partition(";")[0]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Job("slurm", number, submission.run, now, submission.results)


def state(job: Job) -> JobState:
    """Return what the controller says, or the accounts, or the exit code that the job left."""
    found = _from_controller(job) or _from_accounts(job) or _left_behind(job)
    if found is None and not job.known:
        raise UnknownNameError(
            f"{job.handle}: expected a job that Slurm knows. Received: {job.id}."
        )
    return found or LOST


def logs(job: Job, follow: bool) -> Iterator[str]:
    """Yield the job's output, from the shared filesystem."""
    state(job)
    return read_log(_log(job), follow, lambda: state(job))


def stop(job: Job) -> None:
    """Interrupt the run as Ctrl-C does and wait for it; cancel what waits, or takes more than a minute."""
    if state(job).state == "running":
        run_checked(["scancel", "--batch", "--signal=TERM", job.id], _CLIENT)
        _wait(job, POLITE_SECONDS)
    if state(job).active:
        run_checked(["scancel", job.id], _CLIENT)
        _wait(job, POLITE_SECONDS)


def _options(submission: Submission) -> SlurmOptions:
    assert isinstance(submission.options, SlurmOptions)  # noqa: S101 (the table's pairing)
    return submission.options


def _directives(submission: Submission, options: SlurmOptions) -> Iterator[str]:
    """Yield the options of sbatch."""
    yield f"--job-name={submission.run}"
    for name in ("partition", "account", "qos", "time", "constraint"):
        if getattr(options, name) is not None:
            yield f"--{name}={getattr(options, name)}"
    yield f"--nodes={options.nodes}"
    yield "--ntasks-per-node=1"
    yield f"--cpus-per-task={options.cpus}"
    if options.gpus:
        yield f"--gpus-per-node={options.gpus}"
    if options.memory:
        yield f"--mem={options.memory.removesuffix('i')}"
    folder = str(submission.folder_there).replace("%", "%%")  # sbatch writes out %j, %u and so on
    yield f"--output={shlex.quote(f'{folder}/slurm-%j.log')}"
    yield "--open-mode=append"
    yield f"--signal=B:USR1@{options.warning_seconds}"
    yield "--requeue" if options.requeue else "--no-requeue"
    yield from options.extra


def _python(submission: Submission, options: SlurmOptions) -> Iterator[str]:
    """Yield the command that is Python there, as arrays of a shell; image.sh puts one in an image together."""
    python = options.python or ("python3" if options.setup or options.image else sys.executable)
    if options.image is None:
        yield f"python=({shlex.quote(python)})"
        return
    gpus = ["--nv"] if options.gpus else []
    bound = ["--bind", submission.storage, "--bind", "/tmp"]  # noqa: S108 (Ray's files)
    yield f"python=({shlex.join(['apptainer', 'exec', *gpus, *bound])})"
    yield f"reads=({shlex.join(map(str, submission.reads))})"
    yield f"image=({shlex.join([options.image, python])})"


def _from_controller(job: Job) -> JobState | None:
    """Return the state of a job that the controller remembers: for some minutes after its end."""
    answer = run(["scontrol", "--oneliner", "show", "job", job.id], _CLIENT)
    if answer.code != 0:
        if "Invalid job id" in answer.error:
            return None
        raise PlaceError(f"scontrol refused: {' '.join(answer.error.split())}")
    fields = dict(re.findall(r"(JobState|Reason|ExitCode|NodeList|Restarts)=(\S*)", answer.output))
    return _state(fields.get("JobState", ""), fields.get("ExitCode", ""), _reason(fields))


def _from_accounts(job: Job) -> JobState | None:
    """Return what the accounts say, where the cluster keeps any."""
    fields = "--format=State,ExitCode"
    command = ["sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job.id}", fields]
    answer = run(command, _CLIENT)
    words = answer.output.split("\n")[0].split("|")
    return _state(words[0].split()[0], words[1], None) if len(words) == 2 and words[0] else None


def _left_behind(job: Job) -> JobState | None:
    left = (job.folder or Path()) / f"slurm-{job.id}.exit"
    return exited(int(left.read_text())) if job.known and left.is_file() else None


def _state(word: str, code: str, reason: str | None) -> JobState:
    """Return our word for Slurm's; a run that was interrupted politely is stopped, not failed."""
    left, _, signal = code.partition(":")
    if word == "FAILED" and EXITS.get(int(left or 0)) == "stopped":
        return JobState("stopped", f"FAILED, exit code {left}", reason)
    if word == "FAILED" and signal == "15":
        return JobState("stopped", "FAILED, ended by SIGTERM", reason)
    return JobState(NATIVE.get(word, "lost"), word, reason)


def _reason(fields: Mapping[str, str]) -> str | None:
    """Return what Slurm adds: why a job waits, where it runs, how often it was put back."""
    nodes = fields.get("NodeList", "")
    said = fields.get("Reason", "None")
    parts = [f"on {nodes}"] if nodes not in ("", "(null)") else []
    parts += [said] if said not in ("", "None") else []
    again = fields.get("Restarts", "0")
    parts += [f"restarted {again} times"] if again != "0" else []
    return ", ".join(parts) or None


def _log(job: Job) -> Path:
    if job.folder is not None:
        return job.folder / f"slurm-{job.id}.log"
    shown = run(["scontrol", "--oneliner", "show", "job", job.id], _CLIENT).output
    found = re.search(r"StdOut=(\S+)", shown)
    return Path(found[1] if found else f"slurm-{job.id}.log")


def _wait(job: Job, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while state(job).active and time.monotonic() < deadline:
        time.sleep(0.5)
