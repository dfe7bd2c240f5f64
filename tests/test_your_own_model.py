"""docs/your-own-model.md: its files are written and its commands run, in its order."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator.records import read_run
from tests.pages import environment, lay_out, shown_output

PATIENCE_SECONDS = 600


@pytest.mark.integration
def test_what_the_page_runs_runs_and_says_what_the_page_shows(tmp_path):
    done = subprocess.run(
        ["bash", str(lay_out("your-own-model.md", tmp_path))],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    shown = shown_output("your-own-model.md", "task:")
    assert [line for line in shown if line not in done.stdout.split("\n")] == []
    houses = read_run(tmp_path / "runs" / "houses")
    assert {trial.status for trial in houses.trials} <= {"finished", "stopped"}
    assert {"price_mae", "sold_loss"} < {*houses.winner["test"]}
