"""docs/your-own-scheduler.md: its files are written and its commands run, in its order."""

from __future__ import annotations

import json

import pytest

from orchestrator.records import read_run
from tests.pages import EACH_EXECUTOR, run_page


@pytest.mark.integration
@EACH_EXECUTOR
def test_what_the_page_runs_is_decided_by_its_scheduler(tmp_path, inline):
    run_page("your-own-scheduler.md", tmp_path, inline=inline)
    floor = read_run(tmp_path / "runs" / "floor")
    stopped = {trial.trial for trial in floor.trials if trial.status == "stopped"}
    first = {
        row["trial"]: row["metrics"]["val_accuracy"] for row in floor.epochs if row["epoch"] == 1
    }
    assert stopped == {trial for trial, value in first.items() if value < 0.5} != set()
    assert {trial.stopped_by["scheduler"] for trial in floor.trials if trial.stopped_by} == {
        "floor"
    }
    assert set(floor.manifest["scheduler"]["files"]) == {"floor.py"}
    assert json.loads((tmp_path / "runs/floor/manifest.json").read_text())["scheduler"][
        "fingerprint"
    ]
