"""A function as a panda: its hyperparameters change live, it goes back to states it saved, and says what it cannot."""

from __future__ import annotations

import pytest

from orchestrator.catalog import find_trial
from orchestrator.config import SitterOptions
from orchestrator.config.limits import Duration
from orchestrator.config.trial_options import FunctionTrial
from orchestrator.records import Request, RunFolder, write_request
from orchestrator.search import Nursery, TrialSpec
from orchestrator.trials import Progress, StateStore
from orchestrator.trials.function import FunctionJob

MINE = """
trained = []

def keeps(hp, report):
    found = report.checkpoint.load()
    at = float((found / "at").read_text()) if found else 100.0
    for epoch in range(report.checkpoint.epoch + 1, 99):
        trained.append(epoch)
        at -= hp["learning_rate"]
        with report.checkpoint.save(epoch) as folder:
            (folder / "at").write_text(str(at))
        report(epoch, val_loss=at, rate=hp["learning_rate"], left=hp.get("one_minus_beta", 0))

def forgets(hp, report):
    at = 100.0
    for epoch in range(1, 7):
        trained.append(epoch)
        at -= hp["learning_rate"]
        report(epoch, val_loss=at, rate=hp["learning_rate"])

def explodes(hp, report):
    report.checkpoint.load()
    for epoch in range(report.checkpoint.epoch + 1, 99):
        with report.checkpoint.save(epoch) as folder:
            (folder / "epoch").write_text(str(epoch))
        loss = float("nan") if epoch == 4 and hp["learning_rate"] > 0.5 else 1 / epoch
        report(epoch, loss=loss, val_loss=loss)

def explodes_and_forgets(hp, report):
    for epoch in range(1, 99):
        loss = float("nan") if epoch == 4 else 1 / epoch
        report(epoch, loss=loss, val_loss=loss)
"""
START = {"learning_rate": 1.0, "beta": 0.9, "one_minus_beta": 0.1}


class Babysat:
    """A function's panda without a driver: an epoch a report, days of two epochs."""

    def __init__(self, folder, name="keeps", days=9, mode="off", spec=None):
        self.folder = folder
        function = find_trial(FunctionTrial(function=f"./mine.py:{name}"), folder)
        sitter = SitterOptions(mode=mode, patience=1)
        nursery = Nursery(Duration(2, "epoch"), days, sitter, False, None, ())
        about = {"epochs": 99, "metric": "val_loss", "mode": "min", "nursery": nursery}
        whose = {"kind": "function", "text": function.text, "home": folder}
        self.job = FunctionJob(function=function, **whose, **about)
        self.spec = spec or TrialSpec("00000", 0, 1, START)
        self.rows, self.journal, self.branches = [], [], []
        self.begin()

    def begin(self):
        self.bench = self.job.open()
        self.session = self.bench.session(self.spec)

    def advance(self, epochs=1):
        for _ in range(epochs):
            progress = Progress()
            self.session.advance(progress, 0.0)
            self.rows += progress.rows
            self.journal += progress.journal
            self.branches += progress.branches
            self.over = progress.done
        return self

    def ask(self, action, **arguments):
        request = Request(action, self.spec.trial, arguments, who="ada")
        return write_request(RunFolder(self.folder), request).id

    def answer(self, request):
        [found] = [
            entry
            for entry in self.journal
            if entry["kind"] in ("applied", "refused") and entry["request"] == request
        ]
        return found

    def values(self, stretch=0):
        of = [row for row in self.rows if row["stretch"] == stretch]
        return [(row["epoch"], row["metrics"]["val_loss"]) for row in of]

    @property
    def trained(self):
        return self.job.function.load().__wrapped__.__globals__["trained"]


@pytest.fixture
def babysat(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "requests").mkdir()
    return lambda *told, **more: Babysat(tmp_path, *told, **more)


def test_what_is_set_is_read_anew_in_the_next_epoch(babysat):
    panda = babysat().advance(2)
    asked = panda.ask("set", changes={"learning_rate": 10.0, "beta": 0.75})
    panda.advance(2)
    assert panda.values() == [(1, 99.0), (2, 98.0), (3, 88.0), (4, 78.0)]
    assert panda.answer(asked)["how"] == "live"
    assert panda.rows[-1]["metrics"]["left"] == 0.25
    assert panda.trained == [1, 2, 3, 4], "it is the same call"


def test_it_is_rolled_back_to_the_state_and_the_hyperparameters_of_a_day(babysat):
    panda = babysat().advance(2)
    panda.ask("set", changes={"learning_rate": 10.0})
    panda.advance(4)
    back = panda.ask("rollback", to_day=1)
    panda.advance(2)
    assert panda.values()[-1] == (6, 58.0)
    assert panda.values(stretch=1) == [(3, 97.0), (4, 96.0)]
    assert panda.answer(back)["changes"] == {"learning_rate": [10.0, 1.0]}


def test_a_branch_goes_on_from_a_day_with_files_of_its_own(babysat, tmp_path):
    panda = babysat().advance(4)
    panda.ask("branch", name="other", at_day=1, changes={"learning_rate": 5.0})
    panda.advance(2)
    [told] = panda.branches
    panda.bench.leave()
    states = StateStore(tmp_path / "checkpoints")
    states.forget("00000")
    spec = TrialSpec(index=1, branch=True, **told)
    branch = babysat(spec=spec).advance(2)
    assert branch.values() == [(3, 93.0), (4, 88.0)]


@pytest.mark.parametrize("name", ["keeps", "forgets"])
def test_one_that_was_killed_comes_to_the_same_with_what_was_changed_meanwhile(babysat, name):
    panda = babysat(name).advance(2)
    panda.ask("set", changes={"learning_rate": 10.0})
    panda.advance(1)
    panda.ask("set", changes={"learning_rate": 20.0})
    panda.advance(1)
    panda.trained.clear()
    panda.begin()  # another process: nothing but the folder is left
    panda.advance(1)
    assert dict(panda.values()) == {1: 99.0, 2: 98.0, 3: 88.0, 4: 68.0, 5: 48.0}
    assert panda.trained == ([5] if name == "keeps" else [1, 2, 3, 4, 5])


def test_a_function_that_saves_no_state_is_watched_and_changed_but_not_rolled_back(babysat):
    panda = babysat("forgets").advance(4)
    back = panda.ask("rollback", to_day=1)
    fork = panda.ask("branch", name="other", at_day=1)
    panda.advance(1)
    for refused in (panda.answer(back), panda.answer(fork)):
        assert refused["kind"] == "refused"
        assert "an epoch whose state was saved with report.checkpoint" in refused["reason"]
    assert [e["day"] for e in panda.journal if e["kind"] == "day"] == [1, 2]
    assert panda.values()[-1] == (5, 95.0), "it went on as if nothing had been asked"
    again = panda.ask("rollback", to_day=0)
    panda.advance(1)
    assert panda.answer(again)["kind"] == "applied" and panda.values(stretch=1) == [(1, 99.0)]


def test_a_sitter_that_may_act_takes_it_back_and_lowers_its_learning_rate(babysat):
    panda = babysat("explodes", mode="act").advance(6)
    back, lower = [e for e in panda.journal if e["kind"] == "applied"]
    assert (back["action"], back["to_day"], back["by"]) == ("rollback", 1, "sitter:divergence")
    assert lower["changes"] == {"learning_rate": [1.0, 0.5]}
    assert [row["epoch"] for row in panda.rows if row["stretch"] == 1] == [3, 4]


def test_where_no_state_is_saved_a_sitter_is_refused_and_the_divergence_ends_it(babysat):
    panda = babysat("explodes_and_forgets", mode="act").advance(4)
    [refused] = [e for e in panda.journal if e["kind"] == "refused"]
    assert "Received: epoch 2, of which there is none" in refused["reason"]
    assert panda.over and panda.session._panda.state.ending == "diverged"


def test_it_ends_when_its_function_returns(babysat):
    panda = babysat("forgets").advance(7)
    assert panda.over and len(panda.rows) == 6
    assert panda.journal[-1]["text"] == "the function returned"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"learning_rat": 1.0}, "expected a hyperparameter that the function is given"),
        ({"learning_rate": "high"}, "learning_rate: expected a number. Received: 'high'"),
    ],
)
def test_what_it_cannot_be_given_is_refused(babysat, changes, said):
    panda = babysat().advance(1)
    asked = panda.ask("set", changes=changes)
    panda.advance(1)
    assert said in panda.answer(asked)["reason"]
    assert panda.values() == [(1, 99.0), (2, 98.0)]


def test_states_are_kept_as_long_as_their_days(babysat, tmp_path):
    babysat().advance(7)
    kept = StateStore(tmp_path / "checkpoints").files("00000").folder.glob("*")
    assert sorted(int(state.name[:5]) for state in kept) == [2, 4, 6, 7]
