"""Hosts on this machine, each with its own network and host name, and Ray on them: by the scripts beside this."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.preloaded import PYTHONPATH

HERE = Path(__file__).parent
HEAD = "10.78.0.1:6379"
PATIENCE_SECONDS = 900


def why_not() -> str | None:
    """Why this machine cannot have such hosts."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces"
    missing = [tool for tool in ("ip", "nsenter", "unshare") if shutil.which(tool) is None]
    if missing:
        return f"needs {', '.join(missing)}: apt-get install iproute2 util-linux"
    tried = "ip netns add orch-probe-$$ && ip netns del orch-probe-$$ && unshare --mount --uts true"
    probe = subprocess.run(["sh", "-c", tried], capture_output=True, text=True)
    return f"needs network namespaces: {probe.stderr.strip()}" if probe.returncode else None


@dataclass(frozen=True)
class Hosts:
    """Hosts 1 to ``many``, called orch-h1 and so on; ``folder`` is what they share."""

    folder: Path
    token: str = field(default_factory=lambda: secrets.token_hex(32))

    def start_ray(self, *hosts: int) -> None:
        """Start Ray there, with one core a host; host 1 is the head."""
        words = [str(HERE / "cluster.sh"), str(self.folder), *map(str, hosts)]
        subprocess.run(words, env=self._environment(), timeout=PATIENCE_SECONDS, check=True)

    def kill(self, host: int) -> None:
        """Kill every process of a host."""
        self._net("kill", host)

    def cut(self, host: int) -> None:
        """Pull its cable out."""
        self._net("cut", host)

    def drive(self, *words: str, log: Path) -> subprocess.Popen[bytes]:
        """Begin a command of ours on the head, with the cluster as its Ray."""
        command = [str(HERE / "on.sh"), str(self.folder), "1", sys.executable, "-m", "orchestrator"]
        own = self._environment() | {"RAY_ADDRESS": HEAD}
        with log.open("ab") as output:
            return subprocess.Popen(
                [*command, *words], cwd=self.folder, env=own, stdout=output, stderr=output
            )

    def _net(self, *words: object) -> None:
        action, *more = map(str, words)
        command = [str(HERE / "net.sh"), action, str(self.folder), *more]
        subprocess.run(command, timeout=300, check=True, stdin=subprocess.DEVNULL)

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "PYTHON": sys.executable, "PYTHONPATH": PYTHONPATH, "TF_CPP_MIN_LOG_LEVEL": "3",
            "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token,
        }  # fmt: skip


@contextlib.contextmanager
def connected(many: int) -> Iterator[Hosts]:
    """Have so many hosts, joined by cables and without Ray, while the block runs."""
    # Ray's sockets lie below it, and their names may not be long.
    hosts = Hosts(Path(tempfile.mkdtemp(prefix="hosts-", dir="/var/tmp")))
    try:
        hosts._net("up", many)
        yield hosts
    finally:
        hosts._net("down")
        shutil.rmtree(hosts.folder, ignore_errors=True)
