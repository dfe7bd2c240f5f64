"""A container on the machine that the Docker client talks to, the folder of runs mounted into it."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from orchestrator.config.targets import DockerOptions
from orchestrator.errors import PlaceError, UnknownNameError
from orchestrator.targets.commands import Answer, run, run_checked, stream
from orchestrator.targets.job import LOST, Job, JobState, State, exited
from orchestrator.targets.target import EXPERIMENT_FILE, Submission, write_submission

SEES_OUR_FILES = False
POLITE_SECONDS = 60
"""How long a run may take to write down where it is."""
SHORT_ID = 12
NATIVE: Mapping[str, State] = {
    "created": "queued",
    "running": "running",
    "paused": "running",
    "restarting": "running",
    "removing": "stopped",
    "dead": "failed",
}
"""Docker's words; ``exited`` is judged by the exit code."""
_CLIENT = "Install Docker's client: https://docs.docker.com/engine/install (Debian: apt install docker.io)."
_SECRET = re.compile(r"\$\{ENV:([A-Za-z_][A-Za-z0-9_]*)\}")


def prepare(submission: Submission) -> str:
    """Return the command, an option a line. A secret's name stands in it, never its value."""
    return " \\\n  ".join(_shown(_command(submission))) + "\n"


def submit(submission: Submission) -> Job:
    """Lay down the experiment beside the runs, start the container and return its id."""
    variables = _secrets(_options(submission))
    run(["docker", "--version"], _CLIENT)  # nothing is written where there is no client
    write_submission(submission, submission.folder)
    _chown_submission(submission.folder, _options(submission).user)
    number = run_checked(_command(submission), _CLIENT, variables=variables).strip()[:SHORT_ID]
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return Job("docker", number, submission.run, now, submission.results)


def state(job: Job) -> JobState:
    """Return how the container stands."""
    answer = run(["docker", "container", "inspect", "--format", "{{json .State}}", job.id], _CLIENT)
    if answer.code != 0:
        return _absent(job, answer)
    found: dict[str, Any] = json.loads(answer.output)
    word = found["Status"]
    if word != "exited":
        health = found.get("Health", {}).get("Status")
        state = NATIVE.get(word, "running" if found.get("Running") else "lost")
        return JobState(state, word, health if health == "unhealthy" else None)
    ended = exited(found["ExitCode"])
    reason = "it ran out of memory: target.docker.memory" if found.get("OOMKilled") else None
    return JobState(ended.state, f"exited, {ended.native}", found.get("Error") or reason)


def logs(job: Job, follow: bool) -> Iterator[str]:
    """Yield the container's output."""
    if state(job).state == LOST.state:
        raise PlaceError(
            f"{job.handle}: expected the container's output. Received: it was removed."
        )
    return stream(["docker", "logs", *(["--follow"] if follow else []), job.id], _CLIENT)


def stop(job: Job) -> None:
    """Interrupt the run as Ctrl-C does; a container that does not end within a minute is killed."""
    run_checked(["docker", "stop", "--time", str(POLITE_SECONDS), job.id], _CLIENT)


def _options(submission: Submission) -> DockerOptions:
    return cast(DockerOptions, submission.options)


def _command(submission: Submission) -> list[str]:
    options = _options(submission)
    command = ["docker", "run", "--detach", f"--label=orchestrator.run={submission.run}", "--init"]
    command += ["--cap-drop=ALL", "--security-opt=no-new-privileges"]
    command += [f"--user={options.user or f'{os.getuid()}:{os.getgid()}'}"]
    command += [_mount(str(submission.results), str(submission.storage))]
    command += [f"--volume={mount}" for mount in options.mounts]
    command += [f"--shm-size={options.shm_size.lower().removesuffix('i')}"]
    if options.memory is not None:
        command += [f"--memory={options.memory.lower().removesuffix('i')}"]
    if options.cpus is not None:
        command += [f"--cpus={options.cpus:g}"]
    if options.gpus is not None:
        command += [f"--gpus={options.gpus}"]
    if options.network is not None:
        command += [f"--network={options.network}"]
    for name, value in options.environment.items():
        command += [f"--env={name}" if _SECRET.search(value) else f"--env={name}={value}"]
    experiment = str(submission.folder_there / EXPERIMENT_FILE)
    run = ["orchestrator", "run", experiment, "--or-resume"]
    return [*command, *options.extra, options.image, *run]


def _mount(here: str, there: str) -> str:
    """Return the option that mounts a folder; ``--volume`` takes a colon in a path for its own."""
    if ":" not in here + there:
        return f"--volume={here}:{there}"
    quoted = (
        f"{key}={path}".replace('"', '""') for key, path in (("source", here), ("target", there))
    )
    return "--mount=type=bind," + ",".join(f'"{field}"' for field in quoted)


def _shown(command: list[str]) -> list[str]:
    """Return the command's lines: what it is, each option, what it runs."""
    options = [index for index, word in enumerate(command) if word.startswith("--")]
    first = options[0]
    last = next(i for i in range(len(command)) if command[i:][1:3] == ["orchestrator", "run"])
    return [
        shlex.join(command[:first]),
        *map(shlex.quote, command[first:last]),
        shlex.join(command[last:]),
    ]


def _secrets(options: DockerOptions) -> dict[str, str]:
    """Return what the client reads from its own environment, so that no list of processes shows it."""
    variables: dict[str, str] = {}
    for name, value in options.environment.items():
        absent = [secret for secret in _SECRET.findall(value) if secret not in os.environ]
        if absent:
            raise PlaceError(
                f"target.docker.environment.{name}: expected {absent[0]} in the environment. Received: none."
            )
        if _SECRET.search(value):
            variables[name] = _SECRET.sub(lambda found: os.environ[found[1]], value)
    return variables


def _chown_submission(folder: Path, user: str | None) -> None:
    """Give what was laid down to another user who is to read it; only root can."""
    if user is None or user == f"{os.getuid()}:{os.getgid()}":
        return
    numbers = re.fullmatch(r"(\d+)(?::(\d+))?", user)
    try:
        if numbers is None:
            raise PermissionError
        for path in (folder, *folder.rglob("*")):
            os.chown(path, int(numbers[1]), int(numbers[2] or numbers[1]))
    except PermissionError:
        raise PlaceError(
            f"target.docker.user: expected UID:GID of this user, {os.getuid()}:{os.getgid()}, since only"
            f" root can hand the experiment to another. Received: {user!r}."
        ) from None


def _absent(job: Job, answer: Answer) -> JobState:
    if "no such" not in answer.error.lower():
        raise PlaceError(f"docker refused: {' '.join(answer.error.split())}")
    if not job.known:
        raise UnknownNameError(
            f"{job.handle}: expected a container of this machine. Received: one that docker does not know."
        )
    return LOST
