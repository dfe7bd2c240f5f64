"""Completion: the scripts know every command, and answer without starting Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.app import COMMANDS


@pytest.fixture
def complete(cli, a_run):
    """Return what bash offers for a line, where there are two runs and no Python to be found."""
    Path("c.bash").write_text(cli("completion", "bash").stdout)
    a_run("digits")
    a_run("other")

    def ask(*words):
        given = " ".join(f"'{word}'" for word in words)
        script = (
            "source ./c.bash; compopt() { :; }\n"
            f"COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}\n"
            "_orchestrator; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        bash = shutil.which("bash") or "bash"
        done = subprocess.run(
            [bash, "-c", script], capture_output=True, text=True, env={"PATH": "/nowhere"}
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.split()

    return ask


def test_bash_completes_commands_runs_options_and_keys(complete):
    assert complete("orchestrator", "ta") == ["table"]
    assert set(complete("orchestrator", "")) >= COMMANDS.keys()
    assert complete("orchestrator", "table", "") == ["digits", "other"]
    assert complete("orchestrator", "table", "--storage", "elsewhere", "d") == []
    assert complete("orchestrator", "table", "digits", "--so") == ["--sort"]
    assert complete("orchestrator", "run", "x.yaml", "--set", "caviar.num_s") == [
        "caviar.num_samples="
    ]
    assert complete("orchestrator", "table", "digits", "-f", "c") == ["csv"]
    assert complete("orchestrator", "status", "-f", "") == ["table", "json"]
    assert "c.bash" in complete("orchestrator", "run", "c")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_script_is_one_that_its_shell_can_read_and_names_every_command(cli, shell):
    script = cli("completion", shell).stdout
    assert all(name in script for name in COMMANDS)
    assert "caviar.num_samples" in script and "search_space" in script
    program = shutil.which(shell)
    if program is not None:
        done = subprocess.run([program, "-n"], input=script, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")


def test_another_shell_is_refused(cli):
    result = cli("completion", "tcsh")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Known: bash, fish, zsh" in " ".join(result.stderr.split())
