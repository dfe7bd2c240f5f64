"""docker/compose.yaml, brought up by the commands of docs/targets/docker.md: a head, two workers, one experiment."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.integration.docker.engine import IMAGE, Engine
from tests.integration.docker.page import COMMANDS

EXPERIMENT = {
    "name": "small",
    "model": "mlp",
    "data": "digits",
    "search_space": "mlp",
    "epochs": 3,
    "caviar": {"num_samples": 6},
}


UP, WAIT, LOGS, DOWN = (command for command in COMMANDS if "docker compose" in command)


@dataclass(frozen=True)
class Cluster:
    engine: Engine
    in_page_folder: Callable[..., subprocess.CompletedProcess[str]]
    experiments: Path

    def run(self, command: str) -> str:
        """Run a command of the page, on the small experiment."""
        ended = self.in_page_folder(
            command,
            EXPERIMENTS=str(self.experiments),
            EXPERIMENT="small.yaml",
            SHARED_MEMORY="300m",
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def compose(self, *arguments: str) -> str:
        return self.run(f"docker compose -f docker/compose.yaml {shlex.join(arguments)}")

    def nodes(self) -> int:
        program = (
            "import ray; ray.init('auto', log_to_driver=False, logging_level='ERROR')\n"
            "print('alive:', sum(node['Alive'] for node in ray.nodes()))"
        )
        said = self.compose("exec", "-T", "head", "python", "-c", program)
        return int(re.findall(r"^alive: (\d+)$", said, re.MULTILINE)[-1])

    def come_to(self, nodes: int) -> bool:
        deadline = time.monotonic() + 240  # a busy machine starts a node at its second try
        while self.nodes() != nodes and time.monotonic() < deadline:
            time.sleep(1)
        return self.nodes() == nodes


@pytest.fixture(scope="module")
def cluster(
    engine: Engine, in_page_folder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("experiments")
    (folder / "small.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    folder.chmod(0o755)
    for parent in folder.parents[:2]:
        parent.chmod(0o755)  # pytest's own are closed to the container's user
    cluster = Cluster(engine, in_page_folder, folder)
    try:
        cluster.run(UP)
        yield cluster
    finally:
        cluster.run(f"{DOWN} --timeout 5")


def test_it_runs_the_bundled_digits_unless_told_otherwise(in_page_folder):
    shown = in_page_folder("docker compose -f docker/compose.yaml config --format json")
    submit = json.loads(shown.stdout)["services"]["submit"]
    assert "/experiment/digits.yaml" in submit["command"]
    sources = [each["source"] for each in submit["volumes"] if each["target"] == "/experiment"]
    assert [Path(source).name for source in sources] == ["examples"]


def test_up_runs_the_experiment_to_its_table_in_the_volume(cluster):
    cluster.run(WAIT)
    said = cluster.run(LOGS)
    assert "Winner: trial" in said
    table = cluster.engine.docker(
        "run", "--rm", "--volume=orchestrator_runs:/runs", IMAGE,
        "orchestrator", "table", "/runs/small", "--format", "json",
    )  # fmt: skip
    assert len(json.loads(table)) == 6


def test_the_token_is_its_owner_s_alone_and_a_stranger_is_turned_away(cluster):
    look = cluster.compose("exec", "-T", "head", "stat", "-c", "%a %u %s", "/token/token")
    assert look.split() == ["600", "10001", "64"]
    program = (
        "import urllib.request as web, urllib.error\n"
        "try: web.urlopen('http://head:8265/api/jobs/')\n"
        "except urllib.error.HTTPError as error: print(error.code)"
    )
    assert cluster.compose("exec", "-T", "worker", "python", "-c", program).strip() == "401"


def test_a_third_worker_joins_the_running_cluster_and_one_that_dies_is_noticed(cluster):
    assert cluster.come_to(3)
    cluster.compose("up", "--detach", "--no-recreate", "--scale", "worker=3", "head", "worker")
    assert cluster.come_to(4)
    third = cluster.compose("ps", "--quiet", "worker").split()[0]
    cluster.engine.docker("update", "--restart=no", third)
    cluster.engine.docker("kill", third)
    assert cluster.come_to(3)
