"""docs/targets/docker.md: its commands, in its order, on the real engine."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.deployment.validators import tool
from tests.integration.docker.engine import ROOT, Engine

PAGE = (ROOT / "docs/targets/docker.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run: docker -->\n```console\n(.*?)\n```", PAGE, re.DOTALL)
COMMANDS = [line[2:] for block in BLOCKS for line in block.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the page's commands name, our command, and compose as a plugin of docker's."""
    place = tmp_path_factory.mktemp("page")
    for each in ("examples", "docker"):
        shutil.copytree(ROOT / each, place / each)
    command = place / "bin/orchestrator"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m orchestrator "$@"\n')
    command.chmod(0o755)
    plugins = place / "client/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(tool("docker-compose"))
    for each in (place, *place.parents[:2]):
        each.chmod(0o755)  # pytest's own are closed to a container's user
    return place


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_does_what_it_says(command: str, folder: Path, engine: Engine):
    ended = engine.run(
        "bash", "-c", f"cd {shlex.quote(str(folder))} && {command}", seconds=400,
        PATH=f"{folder / 'bin'}:{engine.variables['PATH']}", PYTHONPATH=str(ROOT),
        XDG_STATE_HOME=str(folder / "state"), DOCKER_CONFIG=str(folder / "client"),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    if "table" in command:
        assert "finished" in ended.stdout
    if "logs submit" in command:
        assert "Winner: trial" in ended.stdout


def test_every_option_and_every_word_of_docker_s_is_on_the_page():
    from orchestrator.config.targets import DockerOptions, PlaceOptions
    from orchestrator.targets.docker import NATIVE

    ours = set(DockerOptions.model_fields) - set(PlaceOptions.model_fields)
    missing = [name for name in sorted(ours | set(NATIVE)) if not re.search(rf"\b{name}\b", PAGE)]
    assert missing == ["removing"]
