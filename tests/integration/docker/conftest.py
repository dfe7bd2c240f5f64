"""For the tests of this folder: one engine, one run of the image's default command, one folder for the page's."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import preloaded
from tests.deployment.validators import tool
from tests.integration.docker.engine import IMAGE, ROOT, SOMEONE, Engine, running_engine, why_not


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with running_engine() as engine:
        yield engine


@dataclass(frozen=True)
class DefaultRun:
    """What the image's default command left in a folder of someone's, and printed."""

    runs: Path
    command: list[str]
    table: str


@pytest.fixture(scope="session")
def default_run(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> DefaultRun:
    runs = tmp_path_factory.mktemp("default") / "runs"
    runs.mkdir()
    os.chown(runs, SOMEONE, SOMEONE)
    command = ["run", "--rm", f"--user={SOMEONE}:{SOMEONE}", f"--volume={runs}:/runs", IMAGE]
    return DefaultRun(runs, command, engine.docker(*command, seconds=900))


@pytest.fixture(scope="session")
def page_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the page's commands name, our command, and compose as a plugin of docker's.

    Its digits train three epochs: all 27 are trained by the image's default command.
    """
    place = tmp_path_factory.mktemp("page")
    for each in ("examples", "docker"):
        shutil.copytree(ROOT / each, place / each)
    digits = place / "examples/digits.yaml"
    digits.write_text(re.sub(r"(?m)^epochs: \d+", "epochs: 3", digits.read_text()))
    command = place / "bin/orchestrator"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {preloaded.shell_command()} "$@"\n')
    command.chmod(0o755)
    plugins = place / "client/cli-plugins"
    plugins.mkdir(parents=True)
    (plugins / "docker-compose").symlink_to(tool("docker-compose"))
    for each in (place, *place.parents[:2]):
        each.chmod(0o755)  # pytest's own are closed to a container's user
    return place


@pytest.fixture(scope="session")
def in_page_folder(
    page_folder: Path, engine: Engine
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`in_page_folder(command, **variables)`: a command of the page."""

    def run(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return engine.run(
            "bash", "-c", f"cd {shlex.quote(str(page_folder))} && {command}", seconds=900,
            PATH=f"{page_folder / 'bin'}:{engine.variables['PATH']}", PYTHONPATH=str(ROOT),
            XDG_STATE_HOME=str(page_folder / "state"), DOCKER_CONFIG=str(page_folder / "client"),
            **variables,
        )  # fmt: skip

    return run
