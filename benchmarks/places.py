"""Places to submit to, brought up on this machine by the scripts of the integration tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1] / "tests" / "integration"


@dataclass(frozen=True)
class Place:
    """Where to submit: a folder, what stands under ``target``, and what goes before and around the command."""

    folder: Path
    target: Any
    prefix: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def folder(prefix: str) -> Iterator[Path]:
    """Have a folder with a short name that anybody may look into."""
    path = Path(tempfile.mkdtemp(prefix=prefix, dir="/var/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def local() -> Iterator[Place]:
    """Offer a detached process on this machine."""
    with folder("local-") as path:
        yield Place(path, "local")


@contextlib.contextmanager
def slurm() -> Iterator[Place]:
    """Offer a Slurm of two nodes, of which the job takes one."""
    if shutil.which("slurmctld") is None:
        raise OSError("apt-get install slurm-wlm munge")
    scripts = TESTS / "slurm"
    with folder("slurm-") as path:
        try:
            subprocess.run(
                [scripts / "start.sh", path], check=True, timeout=60, stdin=subprocess.DEVNULL
            )
            on_login = (str(scripts / "on.sh"), str(path), "1")
            own = {"SLURM_CONF": str(path / "slurm.conf")}
            target = {"slurm": {"nodes": 1, "cpus": 2, "time": "20"}}
            work = path / "work"
            work.mkdir()
            yield Place(work, target, on_login, own)
        finally:
            subprocess.run([scripts / "stop.sh", path], timeout=60, check=False)


@contextlib.contextmanager
def ray() -> Iterator[Place]:
    """Offer a Ray cluster with its Jobs API, on loopback and with a token."""
    host, port, token = "127.0.0.3", 28266, secrets.token_hex(32)
    own = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token}
    own |= {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(TESTS.parents[1])}
    own["PATH"] = f"{Path(sys.executable).parent}:{own['PATH']}"
    with folder("rj-") as path:
        (path / "o").mkdir(mode=0o700)  # Ray opens the folder that it is given to everybody
        head = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--num-cpus=2",
             f"--node-ip-address={host}", "--port=26280", f"--dashboard-host={host}",
             f"--dashboard-port={port}", "--dashboard-agent-listen-port=0", f"--temp-dir={path}/o/r"],
            env=own, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(host, port, head)
            target = {"ray": {"address": f"http://{host}:{port}", "token": "${ENV:BENCH_TOKEN}"}}
            yield Place(path, target, environment={"BENCH_TOKEN": token})
        finally:
            head.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                head.wait(60)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(head.pid, signal.SIGKILL)


def wait_for(host: str, port: int, head: subprocess.Popen[bytes]) -> None:
    """Wait until something listens there."""
    for _ in range(240):
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        assert head.poll() is None, "Ray's head ended"
        time.sleep(0.5)
    raise OSError(f"nothing listens at {host}:{port}")


@contextlib.contextmanager
def docker() -> Iterator[Place]:
    """Offer a Docker engine with the image built, which takes minutes the first time."""
    from tests.integration.docker.engine import running_engine, why_not

    reason = why_not()
    if reason:
        raise OSError(reason)
    with folder("docker-") as path, running_engine() as engine:
        (path / "runs").mkdir()
        yield Place(path, {"docker": {"network": "none"}}, environment=engine.variables)


PLACES: dict[str, Callable[[], AbstractContextManager[Place]]] = {
    "local": local,
    "slurm": slurm,
    "ray": ray,
    "docker": docker,
}
