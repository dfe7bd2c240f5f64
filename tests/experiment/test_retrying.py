"""Failed trials begin anew with their draws and seeds, and what they trained before counts no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment import open_run, resume, retry, run
from orchestrator.experiment.config_drift import check_unchanged
from orchestrator.experiment.prepared import prepare_again, read_experiment
from orchestrator.records import RunFolder
from orchestrator.records.reader import Follower
from orchestrator.records.state import RunState
from tests.experiment.test_function_trials import KEYS, MINE, QUIETLY, facts

FAILING = """
from pathlib import Path
def train(hp, report):
    for epoch in range(1, 10):
        if epoch == {at} and ({which}) and Path("down").exists():
            raise {error}("no answer")
        report(epoch, val_loss=hp["rate"] / epoch)
"""
UNSTOPPED = {"num_samples": 6, "scheduler": "none"}
SOME, BEST, ALL = "hp['rate'] > 0.05", "hp['rate'] < 0.05", "True"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def failing(at=1, which=SOME, error="ValueError", **keys):
    """Return a run of which some trials fail at the start of an epoch, as long as the service is down."""
    Path("mine.py").write_text(FAILING.format(at=at, which=which, error=error))
    Path("down").touch()
    made = run({**KEYS, "retries": {"times": 0}, **keys}, **QUIETLY)
    Path("down").unlink()
    return made


def failed(made):
    return [trial.trial for trial in made.records.trials if trial.ending == "failed"]


def contents(made):
    files = (file for file in made.path.rglob("*") if file.is_file())
    return {file: file.read_bytes() for file in files if file.name != "driver.json"}


@pytest.mark.parametrize("at", [1, 3])
def test_trials_retried_after_the_mend_are_as_if_none_had_failed(at):
    keys = {"caviar": UNSTOPPED}
    broken = failing(at, **keys)
    assert failed(broken)
    whole = run({**KEYS, **keys, "name": "whole"}, **QUIETLY)
    again = retry(broken, **QUIETLY)
    assert facts(again.records) == facts(whole.records)
    assert again.best.value == whole.best.value and again.records.state.group == 1


def test_epochs_of_the_failed_attempt_stay_in_the_file_and_count_nowhere():
    broken = failing(3, BEST)
    before = len(broken.folder.epochs_file.read_text().splitlines())
    again = retry(broken, **QUIETLY)
    lines = len(again.folder.epochs_file.read_text().splitlines())
    assert lines > len(again.records.epochs) and lines > before
    epochs = again.epochs()
    assert not epochs.duplicated(["trial", "epoch"]).any()


def test_whoever_follows_the_run_sees_what_a_reader_sees():
    broken = failing(3, BEST)
    follower, state = Follower(broken.folder), RunState("val_loss", "min", thin=True)
    for event in follower.read():
        state.apply(event)
    again = retry(broken, **QUIETLY)
    for event in follower.read():
        state.apply(event)
    found = again.records
    assert {t.trial: state.score_of(t.trial) for t in found.trials} == {
        t.trial: found.state.score_of(t.trial) for t in found.trials
    }
    assert state.leader == found.state.leader


def test_mended_code_that_only_failed_trials_knew_keeps_one_group():
    broken = failing(2, ALL, caviar=UNSTOPPED)
    Path("mine.py").write_text(MINE)
    again = retry(broken, **QUIETLY)
    assert again.records.state.group == 1 and not failed(again)
    prepared = prepare_again(read_experiment({**KEYS, "caviar": UNSTOPPED}, ()))
    check_unchanged(
        prepared, again.records
    )  # a further resume takes the new code for the run's own


def test_mended_code_beside_trials_of_the_old_one_is_a_group_of_its_own():
    broken = failing()
    names = failed(broken)
    Path("mine.py").write_text(MINE)
    again = retry(broken, **QUIETLY)
    assert {t.trial for t in again.records.trials if t.group == 2} == set(names)
    assert {t.trial for t in again.records.contenders} == set(names)
    assert len(again.records.trials) == 6


def test_a_retry_that_was_cut_off_goes_on_with_resume(here):
    broken = failing(3, caviar=UNSTOPPED)
    names = failed(broken)
    retry(broken, **QUIETLY)
    whole = facts(open_run("fn").records)
    for name, mark, more in (
        ("trials.jsonl", '"failed"', 2),
        ("events.jsonl", '"extended"', 2),
        ("epochs.jsonl", '"stretch": 1', 1),
    ):
        file = here / "runs" / "fn" / name
        lines = file.read_text().splitlines(keepends=True)
        marked = [n for n, line in enumerate(lines) if mark in line]
        at = marked[0] if name == "epochs.jsonl" else marked[-1]
        file.write_text("".join(lines[: at + more]))
    assert open_run("fn").status == "interrupted"
    assert facts(resume("fn", **QUIETLY).records) == whole
    assert names


def test_where_nothing_failed_a_retry_is_refused_and_nothing_is_written():
    Path("mine.py").write_text(MINE)
    done = run(KEYS, **QUIETLY)
    before = contents(done)
    with pytest.raises(
        ExperimentFileError, match=r"expected trials that failed\. Received: 6 trials"
    ):
        retry("fn", **QUIETLY)
    assert contents(done) == before


@pytest.mark.parametrize(
    ("error", "again"), [("ConnectionRefusedError", True), ("ValueError", False)]
)
def test_or_resume_retries_a_run_whose_every_trial_failed_for_reasons_outside(error, again):
    assert not failing(2, ALL, error, caviar=UNSTOPPED).succeeded
    keys = {**KEYS, "retries": {"times": 0}, "caviar": UNSTOPPED}
    made = run(keys, or_resume=True, **QUIETLY)
    assert made.succeeded == again


def test_the_command_retries_and_ends_as_run_does():
    broken = failing()
    result = CliRunner().invoke(app, ["retry", "fn", "--inline"])
    assert result.exit_code == 0, result.stderr
    assert not failed(broken.reload())
    result = CliRunner().invoke(app, ["retry", "fn", "--no-failed", "--diverged"])
    assert result.exit_code == 2 and "none of which" in " ".join(result.stderr.split())
    assert RunFolder.open("fn").exists
