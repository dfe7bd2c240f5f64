"""A real Docker engine of the tests' own, with the real image built on a stand-in for its base."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import debian
from tests.debian import CACHE

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
IMAGE = "orchestrator"
SOMEONE = 12345
"""A user with no line in the image's /etc/passwd."""
PACKAGES = {
    "dockerd": "docker.io",
    "debootstrap": "debootstrap",
    "ip": "iproute2",
    "iptables": "iptables",
}


def why_not(packages: Mapping[str, str] = PACKAGES) -> str | None:
    """Why this machine cannot have an engine of its own."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "a Docker engine of one's own needs root on Linux"
    return debian.why_not(packages)


@dataclass(frozen=True)
class Engine:
    """How to speak to it: ``variables`` are for any program, ``docker`` is its client."""

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": debian.PATH,
            "DOCKER_HOST": f"unix://{self.folder}/docker.sock",
            "DOCKER_BUILDKIT": "1",
        }

    def run(
        self, *command: str | Path, seconds: float = 120, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, cwd=ROOT,
            env=self.variables | variables,
        )  # fmt: skip

    def docker(self, *arguments: str | Path, seconds: float = 120) -> str:
        ended = self.run("docker", *arguments, seconds=seconds)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout


@contextmanager
def running_engine(folder: Path = CACHE / "docker", settings: str = "{}") -> Iterator[Engine]:
    """An engine whose network is its own, with the image; layers and the base stay for the next time.

    ``settings`` are the engine's, as daemon.json writes them, once the image is built.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = Engine(folder)
        script(engine, "base.sh", folder)
        try:
            script(engine, "engine.sh", "up", folder, "host")
            build(engine)
            script(engine, "engine.sh", "up", folder, "apart", ENGINE_SETTINGS=settings)
            clear(engine)
            yield engine
            clear(engine)
        finally:
            script(engine, "engine.sh", "down", folder)


def script(engine: Engine, name: str, *arguments: str | Path, **variables: str) -> None:
    ended = engine.run(HERE / name, *arguments, seconds=600, **variables)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def build(engine: Engine) -> None:
    """Build the project's Dockerfile; the package index is told as a secret, as it would be elsewhere."""
    text = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    found = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", text, re.MULTILINE)
    assert found is not None
    if engine.run("docker", "image", "inspect", found[1]).returncode:
        changes = ["--change", 'CMD ["python3"]', "--change", "ENV LANG=C.UTF-8"]
        engine.docker("import", *changes, engine.folder / "base.tar", found[1])
    secret = engine.folder / "pip.conf"
    secret.write_text(pip_settings())
    proxies = [f"--build-arg={name}" for name in os.environ if name.lower().endswith("_proxy")]
    engine.docker(
        "build", "--network=host", f"--secret=id=pip,src={secret}", *proxies,
        "--file=docker/Dockerfile", f"--tag={IMAGE}", ".", seconds=1500,
    )  # fmt: skip


def pip_settings() -> str:
    """What this machine's pip is told of its index, as a pip.conf for the build; folders stay outside."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    ).stdout
    lines = ["[global]"]
    for name, value in re.findall(r"^\S*?([a-z-]+)='(.*)'$", listed, re.MULTILINE):
        remote = " ".join(word for word in value.split() if not word.startswith(("file:", "/")))
        if name == "cert":
            lines.append("cert = /etc/ssl/certs/ca-certificates.crt")
        elif name in ("index-url", "extra-index-url", "trusted-host", "proxy") and remote:
            lines.append(f"{name} = {remote}")
    return "\n".join(dict.fromkeys([*lines, "timeout = 180"])) + "\n"


def clear(engine: Engine) -> None:
    """Remove what tests, also earlier ones that were killed, have left."""
    containers = engine.docker("ps", "--all", "--quiet").split()
    if containers:
        engine.docker("rm", "--force", "--volumes", *containers)
    engine.docker("volume", "prune", "--force")
    engine.docker("network", "prune", "--force")
