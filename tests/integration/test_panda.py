"""A panda on real data and a real worker: it goes astray, is taken back, changed by people, branched, and judged."""

from __future__ import annotations

import subprocess
import sys

import pytest

import orchestrator
from orchestrator.report import compare_table
from tests.integration.people import MAIN, Person, cpu_seconds, entries, experiment, paused, until


@pytest.fixture(scope="module")
def fortnight(cluster, tmp_path_factory):
    """The run that the issue asks for; while it pauses, what it costs to wait is measured."""
    storage = tmp_path_factory.mktemp("panda")
    spent = {}

    def asks(run):
        run.pause(at_day=3)
        paused(run, 4)
        spent["cpu"] = cpu_seconds(3.0)
        run.set(learning_rate=0.1, why="ten is much")
        run.set(units=32)
        run.branch("gentle", {"learning_rate": 0.02}, at_day=2)
        ask = [sys.executable, "-m", "orchestrator", "note", str(run.path), "from a terminal"]
        subprocess.run(ask, check=True, capture_output=True)
        until(lambda: run.reload().records.of("gentle").own_epochs)
        run.pause(at_day=5)
        run.continue_()
        paused(run, 8)
        run.rollback(to_day=3, why="try again")
        run.set(learning_rate=0.05)
        run.continue_()

    person = Person(storage / "fortnight", asks)
    person.start()
    options = {"days": 6, "sitter": {"mode": "act", "patience": 9}}
    run = orchestrator.run(experiment(storage, "fortnight", options), progress=False)
    person.join(300)
    assert person.done
    return run, spent


def test_a_learning_rate_that_diverges_is_halved_until_it_trains(fortnight):
    run, _ = fortnight
    by_sitter = entries(run, kind="applied", by="sitter:divergence")
    assert [e["action"] for e in by_sitter] == ["rollback", "set"] * (len(by_sitter) // 2)
    halved = [e["changes"]["learning_rate"][1] for e in by_sitter if e["action"] == "set"]
    assert halved == [20.0, 10.0, 5.0][: len(halved)] and halved
    assert entries(run, kind="day")[0]["metrics"]["val_accuracy"] > 0.5


def test_what_people_asked_is_applied_before_the_next_epoch(fortnight):
    run, _ = fortnight
    human = [e for e in entries(run, kind="applied", action="set") if "@" in e["by"]]
    assert [(e["epoch"], e["how"]) for e in human] == [(4, "live"), (6, "live")]
    rates = [row["metrics"]["learning_rate"] for row in run.records.of(MAIN).epochs]
    assert rates[4:6] == [0.1] * 2 and rates[6:] == [0.05] * 6
    [refused] = entries(run, kind="refused")
    assert "z1/kernel (64, 32) instead of (64, 16)" in refused["reason"]
    asked = entries(run, kind="asked")
    assert [e["why"] for e in asked if e["why"]] == ["ten is much", "try again"]
    answered = {e["request"] for e in entries(run) if e["kind"] in ("applied", "refused")}
    assert {e["request"] for e in asked} <= answered
    assert len(run.records.requests) == len(asked) == 10


def test_what_was_rolled_back_is_kept_apart(fortnight):
    run, _ = fortnight
    records = run.records
    assert [row["epoch"] for row in records.of(MAIN).epochs] == list(range(1, 13))
    stretches = sorted({row.get("stretch", 0) for row in records.of(MAIN).epochs})
    assert len(stretches) == 2
    abandoned = [
        row for row in records.of(MAIN).abandoned_epochs if row.get("stretch") == stretches[0]
    ]
    assert [row["epoch"] for row in abandoned] == [7, 8]
    [rollback] = [e for e in entries(run, kind="applied", action="rollback") if "@" in e["by"]]
    assert (rollback["to_day"], rollback["to_epoch"], rollback["from_day"]) == (3, 6, 4)
    effects = {e["of_day"]: e for e in entries(run, kind="effect") if "@" in e["by"]}
    assert set(effects) == {3, 4}
    table = run.days()
    living = table[table["state"] != "abandoned"]
    assert list(living["day"]) == [1, 2, 3, 4, 5, 6]
    assert list(table[table["state"] == "abandoned"]["day"]) == [4]


def test_a_branch_runs_beside_the_panda_from_its_fork(fortnight):
    run, _ = fortnight
    records = run.records
    assert [row["epoch"] for row in records.of("gentle").epochs] == list(range(1, 13))
    assert len(records.of("gentle").own_epochs) == 8
    assert records.of("gentle").epochs[:4] == records.of(MAIN).epochs[:4]
    rates = [row["metrics"]["learning_rate"] for row in records.of("gentle").own_epochs]
    assert rates == [0.02] * 8
    first = records.of("gentle").own_epochs[0]["time"]
    assert first < records.of(MAIN).epochs[4]["time"], "it trained while the panda was paused"
    assert [trial.status for trial in records.trials] == ["finished", "finished"]


def test_the_best_of_panda_and_branches_is_examined(fortnight):
    run, _ = fortnight
    bests = {trial: run.records.of(trial).best for trial in (MAIN, "gentle")}
    winner = run.records.winner
    assert winner["trial"] == max(bests, key=lambda trial: bests[trial].value)
    assert winner["epoch"] == bests[winner["trial"]].epoch
    assert winner["test"]["accuracy"] > 0.85
    assert winner["hyperparameters"]["learning_rate"] == run.best.hyperparameters["learning_rate"]
    assert run.load_model().predict is not None
    assert run.status == "finished"


def test_comparing_shows_the_panda_and_its_branch(fortnight):
    run, _ = fortnight
    table = compare_table([run.records])
    assert set(table["run"]) == {"fortnight", "fortnight/gentle"}


def test_waiting_costs_next_to_nothing(fortnight):
    _, spent = fortnight
    assert spent["cpu"] < 1.0
