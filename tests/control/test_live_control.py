"""What is asked of a model in training is checked against its records; refused, it leaves no trace."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from orchestrator.control import Panda, open_panda
from orchestrator.errors import RequestError, UnknownNameError
from orchestrator.experiment import Run, open_run
from orchestrator.records import RunWriter, TrialEnd, requests_of
from tests.fortnight import MAIN, make_folder, write_fortnight

PER_WRITER = 20


@pytest.fixture
def folder(tmp_path):
    """The fortnight, on day 3 of 5: day 2 was lived twice, ``gentle`` forked from its end."""
    folder = make_folder(tmp_path / "runs")
    write_fortnight(folder)
    return folder


@pytest.fixture
def run(folder) -> Run:
    return open_run(folder.path)


@pytest.fixture
def refused(folder):
    """Return a function that expects a refusal, with these words and nothing written."""

    def check(ask, *words, error=RequestError):
        before = requests_of(folder)
        with pytest.raises(error) as caught:
            ask()
        assert all(word in str(caught.value) for word in words), caught.value
        assert "\n" not in str(caught.value)
        assert requests_of(folder) == before

    return check


def test_a_change_is_put_down_with_who_when_and_why(run, folder):
    asked = run.set(learning_rate=0.01, why="loss is bouncing")
    (found,) = requests_of(folder)
    assert found == asked
    assert (found.action, found.trial, found.why) == ("set", MAIN, "loss is bouncing")
    assert found.arguments == {"changes": {"learning_rate": 0.01}}
    assert "@" in found.who and found.time


def test_every_request_is_put_down_with_its_arguments(run, folder):
    run.pause()
    run.continue_()
    run.rollback(to_day=1)
    run.rollback(to_epoch=4)
    run.branch("bold", {"learning_rate": 0.3}, at_day=2)
    run.note("it looks better")
    run.stop(at_day=5)
    told = [(request.action, dict(request.arguments)) for request in requests_of(folder)]
    assert told == [
        ("pause", {}),
        ("continue", {}),
        ("rollback", {"to_day": 1}),
        ("rollback", {"to_epoch": 4}),
        ("branch", {"at_day": 2, "changes": {"learning_rate": 0.3}, "name": "bold"}),
        ("note", {"text": "it looks better"}),
        ("stop", {}),
    ]


def test_a_change_can_be_for_a_later_day_and_on_condition(run, folder):
    run.set({"learning_rate": 0.01}, at_day=5, expect={"learning_rate": 0.1})
    (found,) = requests_of(folder)
    assert (found.at_day, found.expect) == (5, {"learning_rate": 0.1})


def test_a_branch_is_asked_by_its_name(run, folder):
    run.panda("gentle").set({"momentum": 0.5})
    open_panda(f"{folder.path}/gentle").pause()
    open_panda("digits/gentle", folder.path.parent).pause()
    assert [request.trial for request in requests_of(folder)] == ["gentle"] * 3


def test_a_run_alone_is_its_first_trial(folder):
    assert open_panda("digits", folder.path.parent) == Panda(folder)
    assert open_panda(folder.path).pause().trial == MAIN


def test_a_trial_that_is_not_there_is_refused(run, refused, folder):
    ask = run.panda("gentel").pause
    refused(ask, "Did you mean 'gentle'?", error=UnknownNameError)
    refused(lambda: open_panda(f"{folder.path}/x"), "Known: 00000, gentle", error=UnknownNameError)


def test_a_run_that_is_not_there_is_refused(tmp_path):
    for reference in ("digist", "digist/gentle", "/nowhere/at/all"):
        with pytest.raises(UnknownNameError):
            open_panda(reference, tmp_path / "runs")


def test_an_unknown_hyperparameter_is_refused(run, refused):
    words = ("learning_rat", "Did you mean 'learning_rate'?")
    refused(lambda: run.set(learning_rat=0.1), *words, error=UnknownNameError)


@pytest.mark.parametrize("day", [-1, 0, 1, 2])
def test_a_change_for_a_day_that_is_over_is_refused(run, refused, day):
    refused(lambda: run.set(learning_rate=0.1, at_day=day), "not over", "on day 3")


def test_a_change_for_a_day_that_will_not_be_is_refused(run, refused):
    refused(lambda: run.pause(at_day=6), "one of the run's 5 days", "Received: 6")


def test_a_rollback_to_a_day_that_has_not_been_is_refused(run, refused):
    refused(lambda: run.rollback(to_day=3), "Received: 3, which has not been", "Known: 0, 1, 2")
    refused(lambda: run.rollback(to_epoch=3), "Received: 3", "2 (day 1), 4 (day 2)")


def test_a_rollback_to_a_day_whose_model_was_dropped_is_refused(run, refused, folder):
    (folder.checkpoints / MAIN / "day-00001.npz").unlink()
    refused(lambda: run.rollback(to_day=1), "whose model is not kept", "Known: 0, 2")
    refused(lambda: run.rollback(to_epoch=2), "Known: 0 (day 0), 4 (day 2)")


def test_a_rollback_to_no_place_or_to_two_is_refused(run, refused):
    refused(lambda: run.rollback(), "either --to-day or --to-epoch")
    refused(lambda: run.rollback(to_day=1, to_epoch=2), "either --to-day or --to-epoch")


def test_a_rollback_to_an_abandoned_day_is_refused(folder, refused):
    with RunWriter(folder) as writer:
        back = {"kind": "applied", "action": "rollback", "to_day": 0, "to_epoch": 0, "changes": {}}
        writer.journal([{**back, "trial": MAIN, "epoch": 0, "day": 0, "stretch": 2}])
    run = open_run(folder.path)
    refused(lambda: run.rollback(to_day=2), "abandoned by a rollback", "Known: 0")


def test_a_branch_returns_to_its_own_days_alone(folder, refused):
    branch = Panda(folder, "gentle")
    own = folder.checkpoints / "gentle"
    own.mkdir()
    (own / "day-00002.npz").write_bytes(b"weights")
    assert branch.rollback(to_day=2).arguments == {"to_day": 2}
    refused(lambda: branch.rollback(to_day=1), "not kept", "Known: 2")


@pytest.mark.parametrize("name", ["", "../x", "a b", ".hidden", "x/y"])
def test_a_branch_whose_name_is_no_folder_name_is_refused(run, refused, name):
    refused(lambda: run.branch(name), "--name")


def test_a_branch_whose_name_is_taken_is_refused(run, refused):
    run.branch("bold")
    for name in ("gentle", "Gentle", MAIN, "bold"):
        refused(lambda name=name: run.branch(name), "a name that no trial of the run has")


def test_a_branch_from_a_day_that_has_not_been_is_refused(run, refused):
    refused(lambda: run.branch("bold", at_day=4), "--at-day", "Known: 0, 1, 2")


def test_nothing_to_change_and_nothing_to_say_are_refused(run, refused):
    refused(lambda: run.set(), "at least one name=value")
    refused(lambda: run.note("  "), "some text")


def test_a_request_made_on_an_outdated_view_is_refused(run, refused):
    outdated = {"learning_rate": 0.9}
    refused(lambda: run.set(momentum=0.5, expect=outdated), "0.9 in force", "Received: 0.1")
    unknown = {"learning_rte": 0.9}
    refused(lambda: run.set(momentum=0.5, expect=unknown), "learning_rate", error=UnknownNameError)


def test_a_finished_run_can_be_asked_nothing(folder, refused):
    with RunWriter(folder) as writer:
        writer.event("run_finished")
    run = open_run(folder.path)
    for ask in (run.pause, run.stop, run.continue_, lambda: run.note("x"), lambda: run.set(a=1)):
        refused(ask, "expected a model in training", "finished", "orchestrator promote digits")


def test_a_trial_that_is_over_can_be_asked_nothing_while_others_go_on(folder, refused):
    with RunWriter(folder) as writer:
        writer.trial_ended(TrialEnd(MAIN, "stopped", 1.0))
    refused(open_run(folder.path).pause, "trial 00000", "stopped")
    assert Panda(folder, "gentle").pause().trial == "gentle"


def test_an_interrupted_run_can_be_asked_since_it_may_be_resumed(folder):
    with RunWriter(folder) as writer:
        writer.trial_ended(TrialEnd(MAIN, "interrupted", 1.0))
        writer.event("run_interrupted")
    assert open_run(folder.path).pause().action == "pause"


def test_a_caviar_can_be_asked_nothing(tmp_path):
    folder = make_folder(tmp_path, "many", strategy="caviar")
    with RunWriter(folder) as writer:
        writer.trial_started(MAIN, 0, 7, {"learning_rate": 0.1})
    run = open_run(folder.path)
    asks = (run.pause, run.journal, run.days, lambda: open_panda(folder.path))
    for ask in (*asks, lambda: run.set(learning_rate=1)):
        with pytest.raises(RequestError, match="Received: a caviar"):
            ask()
    assert not folder.requests.exists()


def test_a_run_whose_model_has_not_started_can_be_asked_nothing_yet(tmp_path):
    run = open_run(make_folder(tmp_path, "young").path)
    with pytest.raises(RequestError, match="none started yet"):
        run.set(learning_rate=0.1)


def test_the_journal_and_the_days_are_tables(run):
    run.note("hello")
    assert run.journal()["text"].iloc[-1].endswith("note 'hello' (waiting)")
    assert set(run.journal("gentle")["trial"]) == {"gentle"}
    assert list(run.days("gentle")["day"]) == [1, 2, 3]


def _ask_often(path, rate):
    run = open_run(path)
    for _ in range(PER_WRITER):
        run.set(learning_rate=rate)


def test_two_people_who_ask_at_once_lose_nothing_and_stand_in_order_of_arrival(folder):
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    people = [context.Process(target=_ask_often, args=(folder.path, rate)) for rate in (0.01, 0.02)]
    for person in people:
        person.start()
    for person in people:
        person.join(300)
    found = requests_of(folder)
    rates = [request.arguments["changes"]["learning_rate"] for request in found]
    assert sorted(rates) == [0.01] * PER_WRITER + [0.02] * PER_WRITER
    assert [request.id for request in found] == sorted(request.id for request in found)
