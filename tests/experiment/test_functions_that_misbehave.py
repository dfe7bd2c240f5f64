"""Functions that do what they should not: each is a clear row of its own, and no other trial is touched."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.experiment import run
from orchestrator.trials import function

MINE = """
import multiprocessing, os, subprocess, sys, threading, time, warnings

def good(report):
    for epoch in range(1, 4):
        report(epoch, val_loss=1 / epoch)

def good_again(report):
    good(report)

def never_reports(report):
    return {"val_loss": 1.0}

def returns_early(report):
    report(1, val_loss=5.0)

def reports_a_string(report):
    report(1, val_loss="0.5")

def reports_the_text_of_a_row(report):
    report("epoch 1: val_loss 0.5")

def reports_none(report):
    report(1, val_loss=None)

def reports_another_metric(report):
    report(1, accuracy=0.5)

def raises(report):
    report(1, val_loss=5.0)
    raise RuntimeError("no gradient")

def prints(report):
    print("printed by Python")
    os.write(1, b"printed by C\\n")
    subprocess.run(["echo", "printed by a child"])
    report(1, val_loss=5.0)

def closes_stdout(report):
    sys.stdout.close()
    report(1, val_loss=5.0)

def replaces_its_streams(report):
    sys.stdout = sys.stderr = None
    report(1, val_loss=5.0)

def empties_what_is_the_processs(report):
    sys.path.clear()
    os.environ.clear()
    sys.setrecursionlimit(90)
    warnings.simplefilter("error")
    os.environ["MINE"] = "1"
    report(1, val_loss=5.0)
    assert dict(os.environ) == {"MINE": "1"} and not sys.path
    report(2, val_loss=4.0)

def forks(report):
    report(1, val_loss=5.0)
    child = os.fork()
    report(2, val_loss=4.0 if child else 0.0)
    if child:
        assert os.waitpid(child, 0)[1] == 0
    report(3, val_loss=3.0)

def forks_and_returns(report):
    report(1, val_loss=5.0)
    child = os.fork()
    if child:
        assert os.waitpid(child, 0)[1] == 0

def _work():
    pass

def starts_processes(report):
    process = multiprocessing.get_context("fork").Process(target=_work)
    process.start()
    process.join()
    report(1, val_loss=5.0 + process.exitcode)

def changes_directory(report):
    os.mkdir("other")
    os.chdir("other")
    report(1, val_loss=5.0)
    os.mkdir("inside")

def leaves_a_thread(report):
    def later():
        time.sleep(0.05)
        report(2, val_loss=0.0)
    report(1, val_loss=5.0)
    threading.Thread(target=later, daemon=True).start()

def exits(report):
    report(1, val_loss=5.0)
    sys.exit(3)

def catches_everything(report):
    for epoch in range(1, 20):
        try:
            report(epoch, val_loss=5.0)
        except BaseException:
            pass

def loops_when_it_is_stopped(report):
    try:
        for epoch in range(1, 20):
            report(epoch, val_loss=5.0)
    finally:
        while True:
            time.sleep(0.001)

def exhausts_the_stack(report):
    exhausts_the_stack(report)

def changes_its_hyperparameters(report):
    report(1, val_loss=5.0)

def train(hp, report):
    if hp["what"] == "changes_its_hyperparameters":
        hp.clear()
        return good(report)
    globals()[hp["what"]](report)
"""
QUIETLY = {"executor": "inline", "progress": False}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def run_between(what):
    """Run a trial of that function between two good ones; return its record and its epochs."""
    points = [{"what": "good"}, {"what": what}, {"what": "good_again"}]
    done = run(
        {
            "name": "fn", "trial": "./mine.py:train", "metric": "val_loss", "epochs": 3,
            "search_space": {"what": f"choice([good, {what}, good_again])"},
            "caviar": {"num_samples": 3, "points": points, "scheduler": "none"},
        },
        **QUIETLY,
    )  # fmt: skip
    assert done.status == "finished"
    first, trial, last = done.records.trials
    for good in (first, last):
        values = [row["metrics"]["val_loss"] for row in done.records.of(good.trial).epochs]
        assert (good.status, values) == ("finished", [1, 1 / 2, 1 / 3])
    return trial, [row["epoch"] for row in done.records.of(trial.trial).epochs]


@pytest.mark.parametrize(
    ("what", "epochs", "said"),
    [
        ("never_reports", 0, "expected at least one report of its metrics"),
        ("reports_a_string", 0, "expected a number as val_loss. Received: 'str'"),
        ("reports_the_text_of_a_row", 0, "expected a report of epoch 1, the next one"),
        ("reports_none", 0, "expected a number as val_loss. Received: 'NoneType'"),
        ("reports_another_metric", 0, "expected val_loss, by which trials are judged"),
        ("raises", 1, "RuntimeError: no gradient (mine.py line"),
        ("exits", 1, "its code ended the process (exit code 3)"),
        ("exhausts_the_stack", 0, "RecursionError"),
    ],
)
def test_it_fails_with_what_is_wrong_and_keeps_its_epochs(what, epochs, said):
    trial, seen = run_between(what)
    assert (trial.status, len(seen)) == ("failed", epochs)
    assert said in trial.error


@pytest.mark.parametrize(
    ("what", "epochs"),
    [
        ("returns_early", 1),
        ("prints", 1),
        ("closes_stdout", 1),
        ("replaces_its_streams", 1),
        ("empties_what_is_the_processs", 2),
        ("starts_processes", 1),
        ("catches_everything", 3),
        ("changes_its_hyperparameters", 3),
    ],
)
def test_it_is_finished_with_what_it_reported(what, epochs):
    trial, seen = run_between(what)
    assert (trial.status, seen) == ("finished", list(range(1, epochs + 1)))
    assert dict(trial.hyperparameters) == {"what": what}
    assert os.environ.get("HOME") and "MINE" not in os.environ and len(sys.path) > 1
    assert sys.getrecursionlimit() > 90


def test_what_it_prints_is_no_output_of_the_run(capfd):
    run_between("prints")
    out, err = capfd.readouterr()
    assert out == ""
    assert all(f"printed by {who}" in err for who in ("Python", "C", "a child"))


def test_its_child_processes_report_nothing_and_end(capfd):
    trial, seen = run_between("forks")
    assert (trial.status, seen) == ("finished", [1, 2, 3])


def test_its_child_processes_do_not_run_on_as_the_run():
    trial, seen = run_between("forks_and_returns")
    assert (trial.status, seen) == ("finished", [1])


def test_its_current_directory_is_its_own(here):
    trial, _ = run_between("changes_directory")
    assert trial.status == "finished" and (here / "other" / "inside").is_dir()
    assert Path.cwd() == here


def test_one_that_does_not_end_when_it_is_stopped_is_interrupted(monkeypatch):
    monkeypatch.setattr(function, "ENDING_SECONDS", 0.1)
    before = set(threading.enumerate())
    trial, seen = run_between("loops_when_it_is_stopped")
    assert (trial.status, seen) == ("finished", [1, 2, 3])
    assert not left(before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_it_leaves_reports_nothing():
    before = set(threading.enumerate())
    trial, seen = run_between("leaves_a_thread")
    assert (trial.status, seen) == ("finished", [1])
    assert not left(before), "it has ended at its report"


def left(before):
    """Return the threads that are left over after a while."""
    new = set(threading.enumerate()) - before
    for thread in new:
        thread.join(300)
    return {thread for thread in new if thread.is_alive()}
