"""A page of documentation as something to run: its files, and its commands as one script."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import preloaded

ROOT = Path(__file__).parents[1]
FAIR = {
    "RAY_worker_niceness": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "ORCHESTRATOR_PROGRAMS": "",
}
"""Ray lets its workers wait for everything else on a machine, here for the tests beside. NumPy's threads wait for one
another by spinning: where others compute too, a small product of matrices takes ten times as long by the processor.
Programs are traced, and not taken from what another test, or whoever runs the tests, has traced."""
EACH_EXECUTOR = pytest.mark.parametrize(
    "inline", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["inline", "on Ray"]
)
"""For pages whose commands say nothing of Ray: each start of one costs ten seconds, and other pages start it."""
_FENCED = re.compile(r"<!-- (file|run): ([^ ]*) -->\n```\w*\n(.*?)\n```$", re.DOTALL | re.MULTILINE)


def lay_out(page: str, folder: Path, forked: bool = True, inline: bool = False) -> Path:
    """Write a page's files into ``folder``, and its commands as ``page.sh``; return that script.

    A command that fails ends it. ``orchestrator`` is this checkout's, each time a fork of a process with its imports
    done; not ``forked`` where the script runs in a network of its own, which that process is not in. ``inline``, its
    runs train in their own process.
    """
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    plain = f"{shlex.quote(sys.executable)} -m orchestrator"
    command = preloaded.shell_command() if forked else plain
    lines = [
        "set -euxo pipefail",
        f"cd {shlex.quote(str(folder))}",
        f'python() {{ {shlex.quote(sys.executable)} "$@"; }}',
        f'orchestrator() {{ {command} "$@"; }}',
    ]
    for what, name, block in _FENCED.findall(text):
        if what == "file":
            (folder / name).write_text(block + "\n", encoding="utf-8")
        else:
            commands = [line[2:] for line in block.splitlines() if line.startswith("$ ")]
            lines += [run_inline(command) if inline else command for command in commands]
    script = folder / "page.sh"
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return script


def train_one_by_one(folder: Path) -> None:
    """Have the experiments in a folder train on one worker: each further one imports Keras, nine seconds."""
    for file in folder.glob("*.yaml"):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        content["caviar"] = {"max_concurrent_trials": 1} | content.get("caviar", {})
        file.write_text(yaml.safe_dump(content), encoding="utf-8")


def run_page(
    page: str,
    folder: Path,
    inline: bool = False,
    patience: float = 1200,
    one_by_one: bool = False,
    **more: str,
) -> subprocess.CompletedProcess[str]:
    """Lay a page out and run its commands, within so many seconds, ``more`` in their environment; none may fail."""
    script = lay_out(page, folder, inline=inline)
    if one_by_one:
        train_one_by_one(folder)
    done = subprocess.run(
        ["bash", str(script)],
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=patience,
    )
    assert done.returncode == 0, done.stderr
    return done


def run_inline(command: str) -> str:
    """Return a command of a page, which trains in its own process where it trains."""
    return re.sub(
        r"^orchestrator (run|extend|resume|reevaluate) ", r"orchestrator \1 --inline ", command
    )


def shown_output(page: str, word: str) -> list[str]:
    """Return the lines of output that a page shows in the first block of no language that has a word in it."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    blocks = re.split(r"^```", text, flags=re.MULTILINE)[1::2]
    return next(block for block in blocks if block[0] == "\n" and word in block).split("\n")[1:]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Return the environment of a page's commands: no cluster, a state folder of their own."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    own |= {
        "PYTHONPATH": preloaded.PYTHONPATH,
        "XDG_STATE_HOME": str(folder / "state"),
        "COLUMNS": "80",
    }
    return own | {"TF_CPP_MIN_LOG_LEVEL": "3", **FAIR} | more
