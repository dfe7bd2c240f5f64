"""What can happen to a trial on a real worker, and that the others go on."""

from __future__ import annotations

import contextlib
import io
import math
import os
import textwrap

import pytest

import orchestrator
from tests.integration.nets import FAILS

FATES = """
    import time

    def build(hp, input_shape, num_classes):
        time.sleep(1)
        if hp["fate"] == "raises":
            raise ValueError("not this one" + chr(10) + "by far")
        if hp["fate"] == "dies":
            os._exit(3)
        scale = float("nan") if hp["fate"] == "diverges" else 1.0
        return keras.Sequential([
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Rescaling(scale),
            keras.layers.Dense(num_classes, activation="softmax"),
        ])
"""


@pytest.fixture(scope="module")
def fates(cluster, tmp_path_factory):
    """One run whose trials meet all that can happen to a trial, one after another on two workers."""
    folder = tmp_path_factory.mktemp("fates")
    (folder / "net.py").write_text("import keras\nimport os\n" + textwrap.dedent(FATES))
    space = {"learning_rate": 0.05, "fate": "choice([fine, raises, dies, diverges])"}
    experiment = {
        "model": str(folder / "net.py"), "data": "digits", "search_space": space, "epochs": 3,
        "seed": 338, "retries": {"times": 1, "wait": "1 second"}, "caviar": {"num_samples": 8, "scheduler": "none"},
        "storage_path": str(folder / "runs"),
    }  # fmt: skip
    stdout = io.StringIO()
    with contextlib.redirect_stdout(stdout):
        run = orchestrator.run(experiment, progress=False)
    assert stdout.getvalue() == "", "stdout belongs to machine formats"
    return run


def with_fate(run, fate):
    found = [trial for trial in run.records.trials if trial.hyperparameters["fate"] == fate]
    assert found
    return found


def test_trials_whose_build_raises_are_failed_rows_with_their_whole_error_in_a_file(fates):
    for trial in with_fate(fates, "raises"):
        assert trial.status == "failed"
        assert trial.error == "ValueError: not this one (net.py line 9, in build)"
        assert (trial.failure, trial.attempts) == ("error", 1)
        whole = (fates.path / trial.error_file).read_text()
        assert "Traceback" in whole
        assert "by far" in whole


def test_a_loss_that_is_no_number_is_a_diverged_trial_whose_curve_is_kept(fates):
    for trial in with_fate(fates, "diverges"):
        [row] = fates.records.of(trial.trial).epochs
        assert trial.status == "diverged"
        assert math.isnan(row["metrics"]["loss"])
        assert fates.records.of(trial.trial).best is not None  # its accuracy is a number


def test_a_trial_whose_process_dies_is_a_failed_row(fates):
    [trial] = with_fate(fates, "dies")
    assert trial.status == "failed"
    assert trial.error.startswith("worker died: ")
    assert (trial.failure, trial.attempts) == ("worker_died", 2)
    [retried] = [event for event in fates.records.events if event["event"] == "retried"]
    assert (retried["trial"], retried["failure"]) == (trial.trial, "worker_died")
    assert (fates.path / trial.error_file).exists()


def test_the_others_go_on_and_the_best_of_them_is_examined(fates):
    fine = with_fate(fates, "fine")
    assert {trial.status for trial in fine} == {"finished"}
    assert fates.status == "finished"
    assert fates.best.trial in {trial.trial for trial in fine}
    assert fates.best.test["accuracy"] > 0.5
    assert sorted(fates.table()["status"]) == sorted(trial.status for trial in fates.records.trials)


def test_two_trials_at_once_run_in_two_processes_at_the_same_time(fates):
    trials = [trial for trial in fates.records.trials if trial.worker]
    overlapping = {
        (a.worker, b.worker)
        for a in trials
        for b in trials
        if a.worker < b.worker and max(a.started, b.started) < min(a.ended, b.ended)
    }
    assert overlapping
    workers = {int(trial.worker.rpartition(":")[2]) for trial in trials}
    assert os.getpid() not in workers
    assert len(workers) >= 2


def test_where_every_trial_fails_there_is_no_winner(tune):
    space = {"learning_rate": "uniform(0.1, 0.2)"}
    run = tune(2, FAILS, search_space=space, executor="inline")
    assert [trial.status for trial in run.records.trials] == ["failed"] * 2
    assert run.status == "finished"
    assert run.best is None
    assert run.records.winner is None
    with pytest.raises(orchestrator.errors.RecordError, match="without one"):
        run.load_model()
    assert len(run.table()) == 2


def test_the_winner_is_examined_where_the_last_trials_process_died(tune):
    space = {"learning_rate": 0.05, "fate": "choice([fine, dies])"}
    one_by_one = {"max_concurrent_trials": 1}
    no_retry = {"times": 0}
    run = tune(2, FATES, search_space=space, epochs=1, seed=1, caviar=one_by_one, retries=no_retry)
    assert [trial.status for trial in run.records.trials] == ["finished", "failed"]
    assert run.best.test is not None
