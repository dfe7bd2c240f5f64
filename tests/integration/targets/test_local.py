"""docs/targets/local.md, command by command, on this machine."""

from __future__ import annotations

from orchestrator.records import read_run
from tests.pages import run_page


def test_the_page_does_what_it_says(tmp_path):
    done = run_page("targets/local.md", tmp_path, one_by_one=True)
    for run in ("runs/digits", "runs/again", "copies/again"):
        records = read_run(tmp_path / run)
        assert (records.status, len(records.trials)) == ("finished", 8)
    assert "exit code 130" in done.stdout or "exit code 143" in done.stdout
