"""slurm/reevaluate.scrontab: what scrontab(1) takes, and a command of ours with options that it has."""

from __future__ import annotations

import re
import shlex

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from tests.deployment.validators import ROOT

TEXT = (ROOT / "slurm/reevaluate.scrontab").read_text(encoding="utf-8")
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
OF_SBATCH = {"job-name", "time", "cpus-per-task", "mail-type", "output", "open-mode"}
"""Long options of sbatch(1), of which scrontab(1) takes all but --array and what names a script."""


def entries():
    return [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def test_its_one_entry_has_a_time_that_cron_takes():
    (entry,) = entries()
    for field, (low, high) in zip(entry.split()[:5], RANGES, strict=True):
        assert field == "*" or low <= int(field) <= high


def test_its_command_is_ours_with_options_that_it_has():
    (entry,) = entries()
    program, *arguments = shlex.split(entry.split(maxsplit=5)[5])
    assert program.endswith("/bin/orchestrator")
    assert "%" not in entry  # cron takes it for the end of a line
    assert CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


@pytest.mark.parametrize("line", [line for line in TEXT.splitlines() if line.startswith("#SCRON")])
def test_its_options_are_those_of_sbatch(line):
    found = re.fullmatch(r"#SCRON --([a-z-]+)=(\S+)", line)
    assert found and found[1] in OF_SBATCH


def test_options_stand_before_the_entry_that_they_are_for():
    lines = TEXT.splitlines()
    assert max(at for at, line in enumerate(lines) if line.startswith("#SCRON")) < lines.index(
        entries()[0]
    )
