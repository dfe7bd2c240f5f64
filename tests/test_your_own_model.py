"""docs/your-own-model.md: its files are written and its commands run, in its order."""

from __future__ import annotations

import pytest

from orchestrator.records import read_run
from tests.pages import EACH_EXECUTOR, run_page, shown_output


@pytest.mark.integration
@EACH_EXECUTOR
def test_what_the_page_runs_runs_and_says_what_the_page_shows(tmp_path, inline):
    done = run_page("your-own-model.md", tmp_path, inline=inline)
    shown = shown_output("your-own-model.md", "task:")
    assert [line for line in shown if line not in done.stdout.split("\n")] == []
    houses = read_run(tmp_path / "runs" / "houses")
    assert {trial.status for trial in houses.trials} <= {"finished", "stopped"}
    assert {"price_mae", "sold_loss"} < {*houses.winner["test"]}
