"""docs/functions.md: its files are written and its commands run, in its order."""

from __future__ import annotations

import subprocess

import pytest

from orchestrator.records import read_run
from tests.pages import environment, lay_out

PATIENCE_SECONDS = 900


@pytest.mark.parametrize(
    "executor", ["--inline", pytest.param("", marks=[pytest.mark.integration, pytest.mark.cluster])]
)
def test_what_the_page_runs_trains_by_its_function(tmp_path, executor):
    script = lay_out("functions.md", tmp_path)
    script.write_text(script.read_text().replace(" --inline", f" {executor}"))
    done = subprocess.run(
        ["bash", str(script)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    run = read_run(tmp_path / "runs" / "functions")
    assert run.status == "finished" and len(run.trials) == 8
    assert run.winner["validation"]["accuracy"] > 0.9
    assert run.trial(run.winner["trial"]).path == "function"
    assert "SGDClassifier" in done.stdout
    panda = read_run(tmp_path / "runs" / "babysat")
    assert panda.status == "finished" and len(panda.of("00000").days) == 4
    assert "learning_rate 0.5 -> 0.05" in done.stdout
