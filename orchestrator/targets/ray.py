"""A Ray cluster that exists, through its Jobs API: the request, and a working directory sent with it."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from orchestrator.config.targets import RayOptions
from orchestrator.errors import PlaceError, UnknownNameError, explain
from orchestrator.targets.job import LOST, Job, JobState, State
from orchestrator.targets.target import (
    EXPERIMENT_FILE,
    Submission,
    check_size,
    write_submission,
)

SEES_OUR_FILES = False
_CLIENT = (
    "Install Ray with its Jobs client: pip install 'orchestrator[ray-jobs]', or 'ray[default]'."
)
_REFERENCE = re.compile(r"\$\{ENV:([A-Za-z_][A-Za-z0-9_]*)\}")
SECONDS = 5.0
LONGEST = 600
POLITE_SECONDS = "60"
"""How long a run may take to write down where it is; Ray itself would give it three seconds."""
NATIVE: Mapping[str, State] = {
    "PENDING": "queued",
    "RUNNING": "running",
    "SUCCEEDED": "finished",
    "FAILED": "failed",
    "STOPPED": "stopped",
}
"""Ray's words for a job."""


def prepare(submission: Submission) -> str:
    """Return the request, as JSON; a secret in it is still its ``${ENV:NAME}``, the working directory its files."""
    options = _options(submission)
    run_there = f"{options.python} -P -m orchestrator run {EXPERIMENT_FILE} --or-resume"
    environment = {"RAY_JOB_STOP_WAIT_TIME_S": POLITE_SECONDS, **options.environment}
    sent = [EXPERIMENT_FILE, *(file.there for file in submission.files)]
    runtime: dict[str, Any] = {"env_vars": environment, "working_dir": sent}
    if options.packages:
        runtime["pip"] = list(options.packages)
    request: dict[str, Any] = {
        "entrypoint": run_there,
        "runtime_env": runtime,
        "metadata": {"run": submission.run, "storage": submission.storage},
    }
    kept = {"num_cpus": options.cpus, "num_gpus": options.gpus, "memory": options.memory}
    kept["resources"] = options.resources  # type: ignore[assignment]
    request |= {f"entrypoint_{name}": value for name, value in kept.items() if value}
    return json.dumps(request, indent=2) + "\n"


def submit(submission: Submission) -> Job:
    """Send the request and the working directory."""
    options = _options(submission)
    request = _with_secrets(json.loads(prepare(submission)))
    check_size(submission.files, options.most_megabytes, "target.ray")
    address = options.address or _address_here()
    client = _client(address, options.token)
    with tempfile.TemporaryDirectory(prefix="orchestrator-") as folder, _said_by_ray(address):
        write_submission(submission, Path(folder))
        request["runtime_env"]["working_dir"] = folder
        name = client.submit_job(**request)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"address": address, "token": options.token}
    return Job("ray", name, submission.run, now, submission.results, about)


def state(job: Job) -> JobState:
    """Return what the cluster says of the job."""
    details = _details(job)
    if details is None:
        return LOST
    word = str(getattr(details.status, "value", details.status))
    code = details.driver_exit_code
    if word == "FAILED" and code in (130, 143):
        return JobState("stopped", f"FAILED, exit code {code}")
    said = " ".join((details.message or "").split()) if word in ("FAILED", "PENDING") else ""
    return JobState(NATIVE.get(word, "lost"), word, said or None)


def logs(job: Job, follow: bool) -> Iterator[str]:
    """Yield the driver's output, as long as the cluster's head keeps it."""
    state(job)
    return _said(job, _client_of(job), follow)


def _said(job: Job, client: Any, follow: bool) -> Iterator[str]:
    if not follow:
        with _said_by_ray(_address_of(job)):
            yield client.get_job_logs(job.id)
        return
    loop = asyncio.new_event_loop()
    lines = client.tail_job_logs(job.id)
    try:
        while True:
            with _said_by_ray(_address_of(job)):
                yield loop.run_until_complete(lines.__anext__())
    except StopAsyncIteration:
        return
    finally:
        loop.close()


def stop(job: Job) -> None:
    """Ask the cluster to interrupt the job; it kills after a minute."""
    client = _client_of(job)
    with _said_by_ray(_address_of(job)):
        client.stop_job(job.id)
    deadline = time.monotonic() + 2 * int(POLITE_SECONDS)
    while state(job).active and time.monotonic() < deadline:
        time.sleep(0.5)


def _options(submission: Submission) -> RayOptions:
    assert isinstance(submission.options, RayOptions)  # noqa: S101 (the table's pairing)
    return submission.options


def _details(job: Job) -> Any:
    """Return Ray's details of a job, None where the cluster has forgotten it. Raises UnknownNameError."""
    client = _client_of(job)
    try:
        with _said_by_ray(_address_of(job)):
            return client.get_job_info(job.id)
    except PlaceError as error:
        if "status code 404" not in str(error):
            raise
        if job.known:
            return None
    raise UnknownNameError(
        f"{job.handle}: expected a job of the cluster at {_address_of(job)}. Received: one that it does not know."
    )


def _address_of(job: Job) -> str:
    return str(job.about.get("address") or _address_here())


def _client_of(job: Job) -> Any:
    return _client(_address_of(job), job.about.get("token"))


def _address_here() -> str:
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        if os.environ.get(name):
            return os.environ[name]
    raise PlaceError(
        "target.ray.address: expected the cluster's dashboard, http://head:8265, here or in"
        " RAY_API_SERVER_ADDRESS. Received: nothing."
    )


def _client(address: str, token: str | None) -> Any:
    """Return Ray's own client, once someone answers at ``address``: Ray would wait for minutes."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PlaceError(
            explain("target.ray.address", "the dashboard's, http://head:8265", address)
        )
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname, port), SECONDS).close()
    except (OSError, ValueError) as error:
        expected = "the dashboard of a Ray cluster that runs"
        raise PlaceError(explain("target.ray.address", expected, f"{address}: {error}")) from None
    secret = _with_secrets(token) if token else None
    headers = {"Authorization": f"Bearer {secret}"} if secret else None
    with _said_by_ray(address), _address_from_us_alone():
        from ray.job_submission import JobSubmissionClient

        for name in ("ray.dashboard", "ray._private"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return JobSubmissionClient(address, headers=headers)


@contextmanager
def _address_from_us_alone() -> Iterator[None]:
    """Hide the variables that Ray's client prefers to the address that it is given."""
    names = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
    hidden = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextmanager
def _said_by_ray(address: str) -> Iterator[None]:
    """Turn what Ray's client raises into one sentence."""
    try:
        from ray.exceptions import AuthenticationError, RayError
    except ImportError:
        raise PlaceError(f"target.ray: expected Ray's client. Received: none. {_CLIENT}") from None
    try:
        yield
    except AuthenticationError:
        raise PlaceError(
            f"Ray at {address}: expected this cluster's token as target.ray.token: ${{ENV:NAME}}. Received:"
            " none, or another one."
        ) from None
    except (ImportError, OSError, RuntimeError, RayError) as error:
        said = " ".join(str(error).split())
        if "ray[default]" in said or isinstance(error, ImportError):
            raise PlaceError(
                f"target.ray: expected Ray's Jobs client. Received: none. {_CLIENT}"
            ) from None
        raise PlaceError(f"Ray at {address} refused: {said[:LONGEST]}") from None


def _with_secrets(value: Any) -> Any:
    """Return plain values with each ``${ENV:NAME}`` as what it stands for here."""
    if isinstance(value, str):
        return _REFERENCE.sub(_secret, value)
    if isinstance(value, dict):
        return {key: _with_secrets(item) for key, item in value.items()}
    return value


def _secret(reference: re.Match[str]) -> str:
    if reference[1] not in os.environ:
        raise PlaceError(
            f"target.ray: expected the environment variable {reference[1]} to be set. Received: no value"
            f" for {reference[0]}."
        )
    return os.environ[reference[1]]
