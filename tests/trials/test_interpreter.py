"""Trials whose function runs in another Python: as in this one, and none of what it does reaches this process."""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from orchestrator.errors import OrchestratorError, TrialError
from orchestrator.search import TrialSpec
from orchestrator.trials import Progress, load_checkpoint
from orchestrator.trials.function_runner import __file__ as RUNNER
from orchestrator.trials.interpreter import InterpreterJob, find_interpreter

MINE = """
import os, random, sys
import beside_it

seen = []

def train(hp, report):
    try:
        for epoch in range(1, 10):
            print("epoch", epoch)
            report(epoch, val_loss=hp["rate"] / epoch, pid=os.getpid())
            seen.append(epoch)
    finally:
        seen.append("left")

def tells(hp, report, seed):
    report({"val_loss": 1.0, "left": seen.count("left"), "seed": seed, "draw": random.random()})
    report(val_loss=Tensor(0.5), ours=float("orchestrator" in sys.modules), numpy=drawn())

def drawn():
    import numpy
    return numpy.random.rand()

class Tensor:
    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value

def yields(hp):
    for epoch in range(1, 4):
        yield {"val_loss": hp["rate"] / epoch}

def raises(hp, report):
    report(1, val_loss=1.0)
    raise ValueError("no gradient")

def ends(hp, report):
    report(1, val_loss=1.0)
    raise SystemExit(3)

def dies(hp, report):
    report(1, val_loss=1.0)
    print("out of luck", file=sys.stderr, flush=True)
    os.kill(os.getpid(), 11)

def skips(hp, report):
    report(1, val_loss=1.0)
    report(3, val_loss=1.0)

def words(hp, report):
    report(1, val_loss="low")

def named(hp, report):
    report(1, val_loss=1.0, trial=7)

def nothing(hp, report):
    return 3

def forks(hp, report):
    if not os.fork():
        return
    report(1, val_loss=2.0)

async def later(hp, report):
    report(1, val_loss=1.0)

def stubborn(hp, report):
    while True:
        try:
            report(val_loss=1.0)
        except BaseException:
            pass

def keeps(hp, report):
    at = report.checkpoint.load()
    epoch = int((at / "epoch").read_text()) if at else 0
    print("from", epoch)
    for epoch in range(epoch + 1, 7):
        with report.checkpoint.save() as folder:
            (folder / "epoch").write_text(str(epoch))
        report(epoch, val_loss=float(epoch))

def keeps_late(hp, report):
    report(1, val_loss=1.0)
    report.checkpoint.load()
"""


@pytest.fixture
def opened(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "beside_it.py").write_text("")
    workbenches = []

    def of(name, **changes):
        about = {"epochs": 9, "metric": "val_loss", "mode": "min"} | changes
        whose = {"kind": "function", "text": f"./mine.py:{name}", "home": tmp_path}
        job = InterpreterJob(
            file=tmp_path / "mine.py", function=name, python=sys.executable, **whose, **about
        )
        workbenches.append(job.open())
        return workbenches[-1]

    yield of
    for workbench in workbenches:
        workbench.leave()


def session(workbench, trial="00000", seed=7):
    return workbench.session(TrialSpec(trial, 0, seed, {"rate": 0.5}))


def advance(trial):
    progress = Progress()
    trial.advance(progress, 60.0)
    return progress


def values(progress):
    return [(row["epoch"], row["metrics"]["val_loss"]) for row in progress.rows]


def printed(tmp_path, stream="stdout", trial="00000"):
    return (tmp_path / "logs" / f"{trial}.{stream}.txt").read_text()


def test_what_is_reported_there_is_the_trials_epochs(opened, tmp_path):
    progress = advance(session(opened("train")))
    assert values(progress) == [(epoch, 0.5 / epoch) for epoch in range(1, 10)] and progress.done
    assert {row["metrics"]["pid"] for row in progress.rows} != {os.getpid()}
    assert load_checkpoint(tmp_path / "checkpoints" / "00000.npz").about["epoch"] == 9


def test_one_process_takes_trial_after_trial_and_nothing_of_ours_is_in_it(opened, tmp_path):
    workbench = opened("train", milestones=frozenset({2}))
    advance(session(workbench))
    before = psutil.Process().children(recursive=True)
    workbench._job.__dict__["function"] = "tells"
    rows = advance(session(workbench, "00001")).rows
    assert rows[0]["metrics"]["left"] == 1.0, "the first one left its report by an exception"
    assert rows[0]["metrics"]["seed"] == 7 and rows[1]["metrics"]["ours"] == 0.0
    assert before == psutil.Process().children(recursive=True)
    workbench.leave()
    assert printed(tmp_path) == "epoch 1\nepoch 2\n"


def test_it_is_seeded_whether_it_imports_numpy_itself_or_not(opened):
    workbench = opened("tells")
    one, same, other = (
        [
            (row["metrics"].get("draw"), row["metrics"].get("numpy"))
            for row in advance(session(workbench, trial, seed)).rows
        ]
        for trial, seed in (("00000", 1), ("00001", 1), ("00002", 2))
    )
    assert one == same and one[0] != other[0] and one[1] != other[1]


def test_it_may_yield(opened):
    assert len(advance(session(opened("yields"))).rows) == 3


@pytest.mark.parametrize(
    ("name", "rows", "said"),
    [
        ("raises", 1, "./mine.py:raises: its code raised ValueError: no gradient (mine.py line"),
        ("ends", 1, "its code ended the process (exit code 3)"),
        ("dies", 1, "its process was ended by signal 11 (SIGSEGV): out of luck"),
        ("skips", 1, "expected a report of epoch 2, the next one. Received: 3"),
        ("words", 0, "expected a number as val_loss. Received: 'str'"),
        ("named", 0, "expected a metric's name, none of trial, epoch"),
        ("nothing", 0, "expected at least one report"),
        ("later", 0, "expected a function that trains when it is called. Received: 'an async one'"),
        ("keeps_late", 1, "expected load() before the first report"),
        ("absent", 0, "AttributeError"),
    ],
)
def test_what_is_wrong_is_said_and_the_next_trial_begins(opened, name, rows, said):
    workbench = opened(name)
    progress = Progress()
    with pytest.raises(TrialError) as caught:
        session(workbench).advance(progress, 60.0)
    assert said in str(caught.value) and len(progress.rows) == rows
    workbench._job.__dict__["function"] = "yields"
    assert len(advance(session(workbench, "00001")).rows) == 3


def test_the_whole_traceback_of_what_it_raised_is_told(opened):
    with pytest.raises(TrialError, match=r'(?s)Traceback.*File ".*mine.py", line \d+, in raises'):
        advance(session(opened("raises")))


def test_a_child_that_it_forks_reports_nothing(opened):
    assert values(advance(session(opened("forks")))) == [(1, 2.0)]


def test_one_that_does_not_end_is_ended_with_its_process(opened):
    workbench = opened("stubborn", epochs=2)
    assert advance(session(workbench)).done
    workbench.leave()
    workbench._job.__dict__["function"] = "yields"
    assert len(advance(session(workbench, "00001")).rows) == 2


def test_it_goes_on_from_the_state_that_it_kept(opened, tmp_path):
    workbench = opened("keeps", epochs=6, milestones=frozenset({3}))
    assert values(advance(session(workbench))) == [(1, 1.0), (2, 2.0), (3, 3.0)]
    again = session(workbench)
    advance(again)
    assert values(advance(again)) == [(4, 4.0), (5, 5.0), (6, 6.0)]
    workbench.leave()
    assert "from 3\n" in printed(tmp_path)


def test_its_runner_is_python_that_version_3_7_reads():
    ast.parse(Path(RUNNER).read_text(), feature_version=(3, 7))


def test_an_interpreter_is_asked_for_its_version(tmp_path):
    found = find_interpreter(os.path.relpath(sys.executable, tmp_path), tmp_path, "here")
    assert found.path == sys.executable
    assert found.version == ".".join(map(str, sys.version_info[:3]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "expected an interpreter, such as ./env/bin/python. Received: './it'"),
        ("#!/bin/sh\necho 3.6.9", "Python 3.7 or newer. Received: '"),
        ("#!/bin/sh\necho broken >&2; exit 1", "it: broken'."),
        ("\x7fELF", "Exec format error"),
    ],
)
def test_what_is_no_interpreter_is_refused(tmp_path, text, said):
    if text is not None:
        (tmp_path / "it").write_text(text)
        (tmp_path / "it").chmod(0o755)
    with pytest.raises(OrchestratorError) as caught:
        find_interpreter("./it", tmp_path, "here")
    assert said in str(caught.value)


def test_plain_values_reach_it_as_they_are(opened, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import json\ndef told(hp, report):\n"
        "    report(1, val_loss=1); open(hp['to'], 'w').write(json.dumps(hp))\n"
    )
    hyperparameters = {"to": str(tmp_path / "told"), "b": True, "n": None, "f": 1e-7, "s": "ü\n"}
    workbench = opened("told")
    advance(workbench.session(TrialSpec("00000", 0, 7, hyperparameters)))
    assert json.loads((tmp_path / "told").read_text()) == hyperparameters
