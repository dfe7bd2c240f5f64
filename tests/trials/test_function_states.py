"""A function's own states: kept whole, gone on from, and deleted as soon as nothing names them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.catalog import find_trial
from orchestrator.config.trial_options import FunctionTrial
from orchestrator.errors import RecordError, TrialError
from orchestrator.search import TrialSpec
from orchestrator.trials import Progress, StateStore, load_checkpoint
from orchestrator.trials.function import FunctionJob

MINE = """
import json, os

trained = []
scores = {1: 1.0, 2: 0.5, 3: 0.7, 4: 0.9}

def keeps(hp, report):
    found = report.checkpoint.load()
    state = json.loads((found / "deep" / "state.json").read_text()) if found else {"epochs": []}
    for epoch in range(report.checkpoint.epoch + 1, 7):
        trained.append(epoch)
        state["epochs"].append(epoch)
        with report.checkpoint.save(epoch) as folder:
            (folder / "deep").mkdir()
            (folder / "deep" / "state.json").write_text(json.dumps(state))
        report(epoch, val_loss=scores.get(epoch, 0.8))

def yields(hp, checkpoint):
    found = checkpoint.load()
    at = int((found / "at").read_text()) if found else 0
    while True:
        trained.append(at + 1)
        with checkpoint.save() as folder:
            (folder / "at").write_text(str(at + 1))
        at += 1
        yield {"val_loss": 1 / at}

def now_and_then(hp, report):
    report.checkpoint.load()
    for epoch in range(report.checkpoint.epoch + 1, 10):
        trained.append(epoch)
        if epoch % 3 == 0:
            with report.checkpoint.save(epoch) as folder:
                (folder / "epoch").write_text(str(epoch))
        report(epoch, val_loss=1 / epoch)

def ends_while_it_writes(hp, report):
    report.checkpoint.load()
    for epoch in range(report.checkpoint.epoch + 1, 10):
        with report.checkpoint.save(epoch) as folder:
            (folder / "half").write_text("one")
            if epoch == 3:
                raise ValueError("killed")
        report(epoch, val_loss=1 / epoch)

def late(hp, report):
    report(1, val_loss=1)
    with report.checkpoint.save(1) as folder:
        pass

def empty(hp, report):
    with report.checkpoint.save(1) as folder:
        pass

def links(hp, report):
    with report.checkpoint.save(1) as folder:
        (folder / "link").symlink_to("/etc/passwd")
        (folder / "file").write_text("")

def looks_back(hp, report):
    report(1, val_loss=1)
    with report.checkpoint.save(2) as folder:
        (folder / "file").write_text("")
    report(2, val_loss=1)
    report.checkpoint.load()
    report(1, val_loss=1)

def from_1(hp, report):
    report.checkpoint.load()
    for epoch in (1, 2):
        with report.checkpoint.save() as folder:
            (folder / "file").write_text("")
        report(epoch, val_loss=1)
"""


@pytest.fixture
def opened(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)

    def of(name, **changes):
        function = find_trial(FunctionTrial(function=f"./mine.py:{name}"), tmp_path)
        about = {"epochs": 6, "metric": "val_loss", "mode": "min"} | changes
        whose = {"kind": "function", "text": function.text, "home": tmp_path}
        return FunctionJob(function=function, **whose, **about).open()

    return of


@pytest.fixture
def states(tmp_path):
    return StateStore(tmp_path / "checkpoints")


def session(workbench):
    return workbench.session(TrialSpec("00000", 0, 1, {"rate": 0.5}))


def advance(trial, seconds=60.0):
    progress = Progress()
    trial.advance(progress, seconds)
    return [row["epoch"] for row in progress.rows]


def trained(workbench):
    return workbench._job.function.load().__wrapped__.__globals__["trained"]


def kept(states):
    return sorted(int(f.name[:5]) for f in states.files("00000").folder.glob("*"))


def test_a_trial_goes_on_from_its_last_state_and_trains_no_epoch_twice(opened, states):
    workbench = opened("keeps", milestones=frozenset({2, 4}))
    assert advance(session(workbench)) == [1, 2]
    again = session(workbench)
    assert [advance(again) for _ in range(3)] == [[1, 2], [3, 4], [5, 6]]
    assert trained(workbench) == [1, 2, 3, 4, 5, 6]
    state = states.files("00000").find(states.about(states.last("00000"))["state"])
    assert json.loads((state / "deep" / "state.json").read_text())["epochs"] == [1, 2, 3, 4, 5, 6]


def test_no_states_are_kept_but_the_best_and_the_last(opened, states, tmp_path):
    workbench = opened("keeps", milestones=frozenset({4}))
    advance(session(workbench))
    assert kept(states) == [2, 4]
    workbench.judge(states.best("00000"), tmp_path / "best")
    state = json.loads((tmp_path / "best" / "checkpoint" / "deep" / "state.json").read_text())
    assert state["epochs"] == [1, 2], "the winner's files are those of its best epoch"
    states.forget_last("00000")
    assert kept(states) == [2]
    states.forget_best("00000")
    assert not states.files("00000").folder.exists()


def test_a_generator_is_given_its_states_by_name(opened):
    workbench = opened("yields", milestones=frozenset({2}))
    advance(session(workbench))
    again = session(workbench)
    advance(again), advance(again)
    assert trained(workbench) == [1, 2, 3, 4, 5, 6]


def test_one_that_keeps_a_state_now_and_then_trains_again_what_is_behind_it(opened, states):
    workbench = opened("now_and_then", epochs=9, milestones=frozenset({5}))
    advance(session(workbench))
    again = session(workbench)
    assert advance(again) == [1, 2, 3, 4, 5] and advance(again) == [6, 7, 8, 9]
    assert trained(workbench) == [1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]


def test_what_is_half_written_is_no_state(opened, states):
    workbench = opened("ends_while_it_writes")
    with pytest.raises(TrialError, match="ValueError: killed"):
        advance(session(workbench))
    assert kept(states) == [2]


def test_what_a_killed_process_had_begun_is_no_state_and_is_deleted(opened, states):
    workbench = opened("keeps", milestones=frozenset({2}))
    advance(session(workbench))
    begun = states.files("00000").begin()
    (begun / "half").write_text("")
    again = session(workbench)
    advance(again)
    assert not begun.exists() and kept(states) == [2]


@pytest.mark.parametrize("harm", ["changed", "deleted", "added"])
def test_a_state_that_is_not_as_it_was_kept_is_not_gone_on_from(opened, states, harm):
    workbench = opened("keeps", milestones=frozenset({2}))
    advance(session(workbench))
    [state] = states.files("00000").folder.glob("*")
    file = state / "deep" / "state.json"
    {
        "changed": lambda: file.write_text(file.read_text().replace("2", "3")),
        "deleted": file.unlink,
        "added": (state / "more").touch,
    }[harm]()
    with pytest.raises(RecordError, match="expected a trial's state as it was kept"):
        states.files("00000").find(state.name)
    again = session(workbench)
    advance(again), advance(again)
    assert trained(workbench)[:4] == [1, 2, 1, 2]


def test_a_trial_that_is_made_longer_goes_on_from_its_best_state(opened, states):
    workbench = opened("keeps", epochs=4)
    advance(session(workbench))
    states.forget_last("00000")
    assert states.go_on_from_best("00000", 4, "val_loss", "min")
    longer = opened("keeps", epochs=6)
    trained(longer).clear()
    assert advance(session(longer)) == [5, 6]
    assert trained(longer) == [3, 4, 5, 6]
    assert load_checkpoint(states.best("00000")).about["epoch"] == 2


def test_a_stopped_trial_leaves_no_state_behind_its_report(opened, states):
    workbench = opened("keeps", milestones=frozenset({2}))
    advance(session(workbench))
    workbench.leave()
    assert kept(states) == [2] and trained(workbench) == [1, 2]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("late", "expected a state of epoch 2, saved before that is reported. Received: 1"),
        ("empty", "expected files in the folder that is to be the trial's state. Received: 'none'"),
        ("links", "Received: 'link, which is neither'"),
    ],
)
def test_a_state_that_is_none_is_refused(opened, states, name, said):
    with pytest.raises(TrialError) as caught:
        advance(session(opened(name)))
    assert said in str(caught.value)
    assert not list(Path(states.files("00000").folder).glob("*"))


def test_a_state_is_loaded_before_the_first_report_and_gone_on_from(opened):
    workbench = opened("looks_back", milestones=frozenset({2}))
    advance(session(workbench))
    with pytest.raises(TrialError, match=r"expected load\(\) before the first report"):
        again = session(workbench)
        advance(again), advance(again)
    workbench = opened("from_1", milestones=frozenset({2}))
    advance(session(workbench))
    with pytest.raises(TrialError, match=r"a report of epoch 3, the next one\. Received: 1"):
        again = session(workbench)
        advance(again), advance(again)
