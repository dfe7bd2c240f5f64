"""docs/commands.md: its files are written and its commands run, in its order."""

from __future__ import annotations

import subprocess

import psutil
import pytest

from orchestrator.records import read_run
from tests.pages import environment, lay_out, run_page

PATIENCE_SECONDS = 900


def test_what_the_page_runs_trains_by_its_program(tmp_path):
    run_page("commands.md", tmp_path)
    run = read_run(tmp_path / "runs" / "commands")
    assert run.status == "finished" and len(run.trials) == 8
    assert run.winner["validation"]["accuracy"] > 0.8
    assert {trial.path for trial in run.trials} == {"command"}
    states = [*(tmp_path / "runs" / "commands" / "checkpoints").glob("*.files/[0-9]*")]
    states = [*states, *(tmp_path / "runs" / "commands" / "best").glob("checkpoint")]
    for state in states:  # epochs of milliseconds have none
        assert len((state / "weights").read_text().split()) == 4


@pytest.mark.integration
@pytest.mark.cluster
def test_on_ray_trials_are_stopped_and_nothing_is_left_of_their_programs(tmp_path):
    script = lay_out("commands.md", tmp_path)
    script.write_text(script.read_text().replace(" --inline", ""))
    told = {"env": environment(tmp_path), "capture_output": True, "text": True}
    done = subprocess.run(["bash", str(script)], timeout=PATIENCE_SECONDS, **told)
    assert done.returncode == 0, done.stderr
    run = read_run(tmp_path / "runs" / "commands")
    assert run.status == "finished" and len(run.trials) == 8
    assert {trial.status for trial in run.trials} <= {"finished", "stopped"}
    here = [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(tmp_path)]
    assert here == []
