from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.cli.app import COMMANDS

ROOT = Path(__file__).parents[2]
HEAVY = ("ray", "tensorflow", "keras", "pandas", "numpy", "pydantic", "sklearn", "yaml", "pyarrow")


def test_help_loads_nothing_heavy():
    program = f"""
import sys
from orchestrator.__main__ import main
sys.argv = ["orchestrator", "--help"]
try:
    main()
except SystemExit as end:
    assert end.code == 0
print("LOADED", *sorted(sys.modules.keys() & set({HEAVY!r})))
"""
    command = [sys.executable, "-c", program]
    answer = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stderr
    assert "Tune Keras models" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "LOADED"


def test_help_names_every_command_in_80_columns(cli):
    result = cli("--help")
    assert result.exit_code == 0
    assert all(re.search(rf"│ {name}\s", result.stdout) for name in COMMANDS)
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_in_80_columns(cli, command):
    result = cli(command, "-h")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_no_command_at_all_shows_the_help(cli):
    result = cli()
    assert result.exit_code == 2
    assert "Before a run" in result.output


@pytest.mark.parametrize(
    ("arguments", "near"),
    [(["prevew", "x"], "Did you mean 'preview'"), (["table", "--frmat", "csv", "x"], "--format")],
)
def test_a_mistyped_command_or_option_exits_2_with_the_near_miss(cli, arguments, near):
    result = cli(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert near in result.stderr


def test_the_version_is_told_by_option_and_command(cli):
    assert cli("--version").stdout == cli("version").stdout
    assert cli("version").stdout.startswith("orchestrator ")


def test_the_formats_are_those_that_can_be_rendered():
    from orchestrator.cli.options import FORMATS
    from orchestrator.report import FORMATS as RENDERED

    assert tuple(RENDERED) == FORMATS
