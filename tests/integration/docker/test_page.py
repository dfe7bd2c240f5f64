"""docs/targets/docker.md: its commands, in its order, on the real engine; those of compose are test_compose.py's."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration.docker.conftest import DefaultRun
from tests.integration.docker.page import COMMANDS, PAGE


@pytest.mark.parametrize("command", [c for c in COMMANDS if "docker compose" not in c])
def test_a_command_of_the_page_does_what_it_says(
    command: str,
    page_folder: Path,
    in_page_folder: Callable[..., subprocess.CompletedProcess[str]],
    default_run: DefaultRun,
):
    ended = in_page_folder(command)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    if command == "mkdir runs":
        # The next one is "a second call": test_image.py looks at the first, with the same command.
        shutil.copytree(default_run.runs, page_folder / "runs", dirs_exist_ok=True)
    if "table" in command:
        assert "finished" in ended.stdout


def test_every_option_and_every_word_of_docker_s_is_on_the_page():
    from orchestrator.config.targets import DockerOptions, PlaceOptions
    from orchestrator.targets.docker import NATIVE

    ours = set(DockerOptions.model_fields) - set(PlaceOptions.model_fields)
    missing = [name for name in sorted(ours | set(NATIVE)) if not re.search(rf"\b{name}\b", PAGE)]
    assert missing == ["removing"]
