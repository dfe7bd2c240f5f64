"""Trials that call a user's function, without TensorFlow, Ray or pandas: what is reported, and how a call ends."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from orchestrator.catalog import find_trial
from orchestrator.config.trial_options import FunctionTrial
from orchestrator.errors import ExperimentFileError, TrialError, UnknownNameError
from orchestrator.search import TrialSpec
from orchestrator.trials import Progress, load_checkpoint
from orchestrator.trials.function import FunctionJob

MINE = '''
import math, random
import numpy as np

seen = []

def train(hp, report):
    """Reports a falling loss; says in ``seen`` how far it came."""
    try:
        for epoch in range(1, 10):
            report(epoch, loss=np.float32(1 / epoch), val_loss=hp["rate"] / epoch)
            seen.append(epoch)
    finally:
        seen.append("left")

def yields(hp):
    import beside_it
    for epoch in range(1, 4):
        yield {"val_loss": hp["rate"] / epoch}

def plain(hp, report):
    report({"val_loss": 1.0})
    report(val_loss=0.5)
    report(epoch=3, val_loss=np.array([0.25]))

def draws(hp, report):
    report(1, val_loss=random.random(), other=np.random.rand())

def diverges(hp, report):
    report(1, loss=math.nan, val_loss=1.0)
    report(2, loss=1.0, val_loss=1.0)

def raises(hp, report):
    report(1, val_loss=1.0)
    raise ValueError("no gradient")

def stubborn(hp, report):
    while True:
        try:
            report(val_loss=1.0)
        except BaseException:
            pass

def nothing(hp, report):
    return 3

def skips(hp, report):
    report(1, val_loss=1.0)
    report(3, val_loss=1.0)

def words(hp, report):
    report(1, val_loss="low")

def digits(hp, report):
    report(1, val_loss="0.5")

def ends(hp, report):
    report(1, val_loss=1.0)
    raise SystemExit(3)

def interrupts(hp, report):
    report(1, val_loss=1.0)
    raise KeyboardInterrupt

def named(hp, report):
    report(1, val_loss=1.0, trial=7)

async def later(hp, report):
    report(1, val_loss=1.0)

def through(hp, report):
    return later(hp, report)

calls = []

def falls(hp, report):
    """Is better at first, and worse the next time that it is called."""
    calls.append(1)
    for epoch in range(1, 6):
        report(epoch, val_loss=float(len(calls)) if epoch < 4 else 5.0)

def moves(hp, report):
    import os
    os.chdir("/")
    for epoch in (1, 2):
        report(epoch, val_loss=len(os.getcwd()))

def quiet(hp, n=3):
    for epoch in range(n):
        yield {"val_loss": 1.0}

def simulated(hp, *given):
    given[0]({"epoch": 1, "profit": 3.0})

def another(hp, report):
    report(1, accuracy=0.5)

def three(hp, report, data):
    pass
'''


@pytest.fixture
def opened(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "beside_it.py").write_text("")

    def of(name, **changes):
        function = find_trial(FunctionTrial(function=f"./mine.py:{name}"), tmp_path)
        about = {"epochs": 9, "metric": "val_loss", "mode": "min"} | changes
        whose = {"kind": "function", "text": function.text, "home": tmp_path}
        return FunctionJob(function=function, **whose, **about).open()

    return of


def session(workbench, seed=1, trial="00000"):
    return workbench.session(TrialSpec(trial, 0, seed, {"rate": 0.5}))


def advance(trial, seconds=60.0):
    progress = Progress()
    trial.advance(progress, seconds)
    return progress


def values(progress):
    return [(row["epoch"], row["metrics"]["val_loss"]) for row in progress.rows]


def test_what_is_reported_is_the_trials_epochs(opened, tmp_path):
    progress = advance(session(opened("train")))
    assert values(progress) == [(epoch, 0.5 / epoch) for epoch in range(1, 10)]
    assert progress.done and not progress.diverged
    assert type(progress.rows[0]["metrics"]["loss"]) is float
    best = load_checkpoint(tmp_path / "checkpoints" / "00000.npz").about
    assert (best["epoch"], best["chosen"]) == (9, {"rate": 0.5})


@pytest.mark.parametrize(
    ("name", "expected"),
    [("yields", [(1, 0.5), (2, 0.25), (3, 0.5 / 3)]), ("plain", [(1, 1.0), (2, 0.5), (3, 0.25)])],
)
def test_it_may_yield_or_report_in_any_form(opened, name, expected):
    progress = advance(session(opened(name)))
    assert values(progress) == expected and progress.done


def test_what_was_recorded_stays_as_it_is_whatever_the_function_reports_when_it_is_called_again(
    opened, tmp_path
):
    workbench = opened("falls", milestones=frozenset({2, 4}))
    first = advance(session(workbench))
    again = session(workbench)
    told_again, further, last = advance(again), advance(again), advance(again)
    assert values(first) == values(told_again) == [(1, 1.0), (2, 1.0)]
    assert values(further) == [(3, 2.0), (4, 5.0)] and values(last) == [(5, 5.0)]
    best = load_checkpoint(tmp_path / "checkpoints" / "00000.npz").about
    assert (best["epoch"], best["metrics"]) == (1, {"val_loss": 1.0})


def test_a_function_has_a_current_directory_of_its_own(opened, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    trial = session(opened("moves", milestones=frozenset({1})))
    assert values(advance(trial)) == [(1, 1.0)]
    assert Path.cwd() == tmp_path
    assert values(advance(trial)) == [(2, 1.0)]


def test_a_generator_keeps_its_defaults_and_any_arguments_are_given_both(opened):
    assert len(advance(session(opened("quiet"))).rows) == 3
    rows = advance(session(opened("simulated", metric="profit", mode="max"), 1, "00001")).rows
    assert [(row["epoch"], row["metrics"]) for row in rows] == [(1, {"profit": 3.0})]


def test_a_winner_has_every_metric_that_was_reported(opened, tmp_path):
    workbench = opened("simulated", metric="profit", mode="max")
    advance(session(workbench))
    judged = workbench.judge(tmp_path / "checkpoints" / "00000.npz", tmp_path / "best")
    assert judged["validation"] == {"profit": 3.0}


def test_it_waits_after_each_milestone_for_the_next_epoch_to_be_asked_for(opened):
    workbench = opened("train", milestones=frozenset({2, 3}))
    trial = session(workbench)
    assert [row["epoch"] for row in advance(trial).rows] == [1, 2]
    assert workbench._job.function.load().__wrapped__.__globals__["seen"] == [1], (
        "nothing is trained that nobody asked for"
    )
    assert [row["epoch"] for row in advance(trial).rows] == [3]
    assert [row["epoch"] for row in advance(trial, seconds=0.0).rows] == [4]


def test_one_that_is_stopped_leaves_its_function_and_the_next_one_begins(opened):
    before = {*threading.enumerate()}
    workbench = opened("train", milestones=frozenset({2}))
    advance(session(workbench))
    progress = advance(session(workbench, trial="00001"))
    assert [row["epoch"] for row in progress.rows] == [1, 2]
    workbench.leave()
    assert workbench._job.function.load().__wrapped__.__globals__["seen"] == [1, "left", 1, "left"]
    for thread in {*threading.enumerate()} - before:
        thread.join(300)
    assert {*threading.enumerate()} <= before


def test_one_that_does_not_end_is_left_where_it_waits(opened):
    workbench = opened("stubborn", epochs=2)
    assert advance(session(workbench)).done
    workbench.leave()


def test_the_epochs_of_the_plan_are_the_most(opened):
    progress = advance(session(opened("train", epochs=4)))
    assert len(progress.rows) == 4 and progress.done


def test_it_is_seeded(opened):
    one, same, other = (
        advance(session(opened("draws"), seed, trial)).rows[0]["metrics"]
        for seed, trial in ((1, "00000"), (1, "00001"), (2, "00002"))
    )
    assert one == same != other


def test_a_loss_that_is_no_number_has_diverged(opened):
    progress = advance(session(opened("diverges")))
    assert progress.diverged and len(progress.rows) == 1


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("raises", 1, "./mine.py:raises: its code raised ValueError: no gradient (mine.py line"),
        ("nothing", 0, "expected at least one report of its metrics"),
        ("skips", 1, "expected a report of epoch 2, the next one. Received: 3"),
        ("ends", 1, "its code ended the process (exit code 3)"),
        ("interrupts", 1, "its code ended the process"),
        ("named", 0, "expected a metric's name, none of trial, epoch, seconds"),
        (
            "through",
            0,
            "expected a function that trains when it is called. Received: 'an async one'",
        ),
        ("digits", 0, "expected a number as val_loss. Received: 'str'"),
        ("words", 0, "expected a number as val_loss. Received: 'str'"),
        ("another", 0, "expected val_loss, by which trials are judged, in every report"),
    ],
)
def test_what_is_wrong_is_said_and_loses_no_epoch_before_it(opened, name, rows, said):
    progress = Progress()
    with pytest.raises(TrialError) as caught:
        session(opened(name)).advance(progress, 60.0)
    assert said in str(caught.value)
    assert len(progress.rows) == rows


def test_a_function_that_cannot_be_called_so_is_refused_without_running_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(MINE + "\nraise SystemExit\n")
    with pytest.raises(ExperimentFileError, match=r"can be called as three\(hp, report\)"):
        find_trial(FunctionTrial(function="./mine.py:three"), tmp_path)
    with pytest.raises(
        ExperimentFileError, match=r"without await was expected\. Received: async def"
    ):
        find_trial(FunctionTrial(function="./mine.py:later"), tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'train'"):
        find_trial(FunctionTrial(function="./mine.py:trian"), tmp_path)
    with pytest.raises(UnknownNameError, match=r"write \./digits\.py:train"):
        find_trial(FunctionTrial(function="digits"), tmp_path)


PROGRAM = """
import sys
import orchestrator

run = orchestrator.run("fn.yaml", executor="inline", progress=False)
assert run.best.trial == min(run.records.trials, key=lambda t: t.hyperparameters["rate"]).trial
print(sorted({"tensorflow", "keras", "ray"} & sys.modules.keys()))
"""


def test_a_run_of_them_imports_neither_tensorflow_nor_ray(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "beside_it.py").write_text("")
    file = {
        "trial": "./mine.py:yields", "metric": "val_loss", "epochs": 3,
        "search_space": {"rate": "loguniform(1e-3, 1)"}, "caviar": {"num_samples": 5},
    }  # fmt: skip
    (tmp_path / "fn.yaml").write_text(json.dumps(file))
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout == "[]\n"
    assert np.isfinite(
        json.loads((tmp_path / "runs/fn/best/metrics.json").read_text())["validation"]["loss"]
    )
