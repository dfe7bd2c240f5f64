"""A Ray cluster of three nodes on this machine, each with its own address, any of which can be killed."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from tests.chaos.driver import FAIR, NODE, marked, shoot, title, until
from tests.preloaded import PYTHONPATH

NODES = (2, 3, 4)
"""The last number of each node's address, 127.0.0.N; the first one is the head."""


class Cluster:
    """The nodes; their processes carry the node's name in their environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self.address = f"127.0.0.{NODES[0]}:{self._port}"

    def start(self, node: int) -> None:
        """Start a node and wait until it is up."""
        head = node == NODES[0]
        place = self._folder / str(node)
        place.mkdir(parents=True, exist_ok=True)
        where = (
            [f"--port={self._port}", "--head", "--include-dashboard=false"]
            if head
            else [f"--address={self.address}"]
        )
        command = [
            _ray(), "start", *where, f"--node-ip-address=127.0.0.{node}", "--num-cpus=1",
            "--object-store-memory=80000000", "--disable-usage-stats", f"--temp-dir={place}",
        ]  # fmt: skip
        with (place / "log").open("a") as log:
            # Its own session: what a Ray process does to its process group is not ours to bear.
            subprocess.run(
                command, env=self._environment(node), stdout=log, stderr=log, timeout=90,
                check=True, start_new_session=True,
            )  # fmt: skip

    def kill(self, node: int) -> None:
        """Kill everything of a node."""
        shoot(marked(NODE, self._name(node)))
        until(lambda: not marked(NODE, self._name(node)), 10)

    def stop(self) -> None:
        """Kill all that is left of it."""
        for node in reversed(NODES):
            self.kill(node)

    def workers(self) -> list[psutil.Process]:
        """The processes that train on its nodes."""
        return [
            process
            for node in NODES
            for process in marked(NODE, self._name(node))
            if title(process).startswith("ray::Resource")
        ]

    def _name(self, node: int) -> str:
        return f"{self._folder}/{node}"

    def _environment(self, node: int) -> dict[str, str]:
        quick = {
            "RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500",
            "RAY_health_check_timeout_ms": "1000", "RAY_health_check_failure_threshold": "4",
        }  # fmt: skip
        return os.environ | FAIR | quick | {
            "RAY_AUTH_MODE": "disabled", "PYTHONPATH": PYTHONPATH, NODE: self._name(node),
            "TF_CPP_MIN_LOG_LEVEL": "3", "RAY_ADDRESS": "",
        }  # fmt: skip


@contextlib.contextmanager
def three_nodes(folder: Path) -> Iterator[Cluster]:
    """Have a cluster while the block runs."""
    cluster = Cluster(folder)
    try:
        for node in NODES:
            cluster.start(node)
        yield cluster
    finally:
        cluster.stop()
        time.sleep(0.2)


def _ray() -> str:
    return str(Path(sys.executable).parent / "ray")


def _free_port() -> int:
    with socket.socket() as found:
        found.bind((f"127.0.0.{NODES[0]}", 0))
        return int(found.getsockname()[1])
