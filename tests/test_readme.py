"""The README's commands do what it says: they are run here, on the files that it shows.

A comment above a block says what is done with it: ``<!-- file: net.py -->`` writes it into the
folder in which ``<!-- run: here -->`` runs the commands of all blocks, in the README's order.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from orchestrator.cli.app import COMMANDS as OURS
from tests import preloaded
from tests.pages import environment, run_inline

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PATIENCE_SECONDS = 900
INLINE = """
import functools, orchestrator
for name in ("run", "extend"):
    setattr(orchestrator, name, functools.partial(getattr(orchestrator, name), executor="inline"))
"""
"""What goes before a block of Python whose runs are to train in its own process."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, what the comment above it says, and its text."""

    language: str
    what: str
    text: str

    @property
    def commands(self) -> list[str]:
        return [line[2:] for line in self.text.splitlines() if line.startswith("$ ")]


_FENCED = re.compile(r"(?:<!-- ([^>]*) -->\n)?```(\w*)\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
BLOCKS = [Block(lang, what, text) for what, lang, text in _FENCED.findall(README)]
FILES = {b.what.removeprefix("file: "): b.text for b in BLOCKS if b.what.startswith("file: ")}
COMMANDS = [command for block in BLOCKS for command in block.commands]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder with the README's files."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n", encoding="utf-8")
    return tmp_path


def shell(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        command,
        cwd=folder,
        env=environment(folder, PATH=path),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def shorten(folder: Path) -> None:
    """Leave the experiments of the README's files fewer and shorter trials."""
    for file in folder.rglob("*.yaml"):
        file.write_text(fewer(file.read_text(encoding="utf-8")), encoding="utf-8")


def fewer(text: str, epochs: int = 9) -> str:
    """Let trials, epochs and days be few where a file, a command or a call says how many."""
    for key, most in (("num_samples", 4), ("epochs", epochs), ("days", 3)):
        text = re.sub(
            rf"\b({key}(?:: |=))(\d+)", lambda m, n=most: f"{m[1]}{min(int(m[2]), n)}", text
        )
    return text


@pytest.mark.integration
@pytest.mark.parametrize(
    "short", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["short", "as shown"]
)
def test_what_the_readme_runs_runs_in_its_order(folder, short):
    """In the short form its trials are few, and but for the job none starts Ray: pages of targets run the same file."""
    command = folder / "bin" / "orchestrator"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {preloaded.shell_command()} "$@"\n')
    command.chmod(0o755)
    if short:
        shorten(folder)
    for block in (block for block in BLOCKS if block.what.startswith("run: ")):
        commands = [run_inline(c) for c in block.commands] if short else block.commands
        steps = [["bash", "-c", fewer(each, 12) if short else each] for each in commands]
        code = fewer(INLINE + block.text, 12) if short else block.text
        for step in steps or [[str(command), "-c", code]]:
            done = shell(step, folder)
            assert done.returncode == 0, f"{step[-1]}\n{done.stderr}"


def test_the_preview_of_the_readme_experiment_names_its_space(folder):
    command = [sys.executable, "-m", "orchestrator", "preview", "examples/digits.yaml"]
    done = shell(command, folder)
    assert (done.returncode, "one_minus_loguniform(0.9, 0.999)" in done.stdout) == (0, True)


def test_every_command_with_a_prompt_is_run():
    prompted = [b for b in BLOCKS if b.language in ("console", "bash", "python")]
    assert [b.text for b in prompted if not b.what.startswith(("run: ", "file: "))] == []


def test_the_experiment_shown_is_the_one_that_comes_with_it():
    bundled = (ROOT / "examples" / "digits.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(FILES["examples/digits.yaml"]) == yaml.safe_load(bundled)


def test_every_command_of_the_program_is_in_the_readme_or_its_help():
    shown = {shlex.split(command, comments=True)[1] for command in COMMANDS}
    assert shown <= OURS.keys()


@pytest.mark.parametrize("word", re.findall(r"^make (\w+)", README, re.MULTILINE))
def test_make_knows_the_words_that_the_readme_uses(word):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "--dry-run", word], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
