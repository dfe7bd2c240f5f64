"""docs/targets/local.md, command by command, on this machine."""

from __future__ import annotations

import subprocess

from orchestrator.records import read_run
from tests.pages import environment, lay_out

PATIENCE_SECONDS = 400


def test_the_page_does_what_it_says(tmp_path):
    done = subprocess.run(
        ["bash", str(lay_out("targets/local.md", tmp_path))],
        env=environment(tmp_path), capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for run in ("runs/digits", "runs/again", "copies/again"):
        records = read_run(tmp_path / run)
        assert (records.status, len(records.trials)) == ("finished", 8)
    assert "exit code 130" in done.stdout or "exit code 143" in done.stdout
