"""A panda on real data and a real worker: it goes astray, is taken back, changed by people, branched, and judged."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
import yaml

import orchestrator
from orchestrator.experiment import flow, open_run
from orchestrator.report import compare_table

MAIN = "00000"
FAR_OFF = {
    "learning_rate": 40.0, "momentum": 0.0, "activation": "tanh", "hidden_layers": 1, "units": 16,
    "batch_size": 64,
}  # fmt: skip
STARTED, PAUSED = {"event": "started"}, {"action": "pause", "kind": "applied"}


def experiment(storage: Path, name: str, panda: dict, **keys) -> dict:
    options = {"start": FAR_OFF | panda.pop("start", {}), "day": "2 epochs"} | panda
    return {"name": name, "model": "mlp", "data": "digits", "strategy": "panda", "seed": 3,
            "storage_path": str(storage), "panda": options} | keys  # fmt: skip


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


class Person(threading.Thread):
    """Somebody at another terminal: opens the run when it trains and asks for things."""

    def __init__(self, path: Path, asks) -> None:
        super().__init__(daemon=True)
        self.path, self.asks, self.done = path, asks, False

    def run(self) -> None:
        records, done = self.path / "trials.jsonl", False
        try:
            until(lambda: records.exists() and open_run(self.path).records.trials)
            self.asks(open_run(self.path))
            done = True
        finally:
            self.done = done
            if not done:
                open_run(self.path).stop()


def paused(run, epoch):
    """Wait until a run waits after that many epochs."""

    def is_so():
        entries = run.reload().records.journal_of(MAIN)
        pauses = [e for e in entries if e["kind"] == "applied" and e["action"] == "pause"]
        return any(entry["epoch"] == epoch for entry in pauses)

    until(is_so)


def cpu_seconds(seconds: float) -> float:
    """How much CPU this process and the workers take in so much time."""
    me = psutil.Process()
    watched = [me, *(p for p in me.children(recursive=True) if p.name().startswith("ray::"))]
    before = {p: sum(p.cpu_times()[:2]) for p in watched}
    time.sleep(seconds)
    return sum(sum(p.cpu_times()[:2]) - before[p] for p in watched if p.is_running())


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
        until(lambda: run.reload().records.own_epochs_of("gentle"))
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
    person.join(10)
    assert person.done
    return run, spent


def entries(run, trial=MAIN, **facts):
    found = run.records.journal_of(trial)
    return [e for e in found if all(e.get(name) == value for name, value in facts.items())]


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
    rates = [row["metrics"]["learning_rate"] for row in run.records.epochs_of(MAIN)]
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
    assert [row["epoch"] for row in records.epochs_of(MAIN)] == list(range(1, 13))
    stretches = sorted({row.get("stretch", 0) for row in records.epochs_of(MAIN)})
    assert len(stretches) == 2
    abandoned = [row for row in records.abandoned_of(MAIN) if row.get("stretch") == stretches[0]]
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
    assert [row["epoch"] for row in records.epochs_of("gentle")] == list(range(1, 13))
    assert len(records.own_epochs_of("gentle")) == 8
    assert records.epochs_of("gentle")[:4] == records.epochs_of(MAIN)[:4]
    rates = [row["metrics"]["learning_rate"] for row in records.own_epochs_of("gentle")]
    assert rates == [0.02] * 8
    first = records.own_epochs_of("gentle")[0]["time"]
    assert first < records.epochs_of(MAIN)[4]["time"], "it trained while the panda was paused"
    assert [trial.status for trial in records.trials] == ["finished", "finished"]


def test_the_best_of_panda_and_branches_is_examined(fortnight):
    run, _ = fortnight
    bests = {trial: run.records.best_of(trial) for trial in (MAIN, "gentle")}
    winner = run.records.winner
    assert winner["trial"] == max(bests, key=lambda trial: bests[trial][1])
    assert winner["epoch"] == bests[winner["trial"]][0]
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


def test_where_there_is_no_room_branches_run_in_turn_and_a_stop_is_one(cluster, tmp_path):
    def asks(run):
        run.pause(at_day=2)
        paused(run, 2)
        run.branch("later", {"learning_rate": 0.01})
        run.rollback(to_day=0)
        run.continue_()
        run.stop(at_day=3)

    person = Person(tmp_path / "turns", asks)
    person.start()
    options = {"days": 3, "sitter": "off", "start": {"learning_rate": 0.1}}
    whole = experiment(tmp_path, "turns", options, resources={"cpu": 2})
    run = orchestrator.run(whole, progress=False)
    person.join(10)
    assert person.done
    panda, branch = run.records.trial(MAIN), run.records.trial("later")
    assert panda.ended <= branch.started
    assert (panda.status, branch.status) == ("stopped", "finished")
    assert panda.stopped_by == {"scheduler": "panda"}
    assert len(run.records.epochs_of(MAIN)) == 4
    assert len(run.records.epochs_of("later")) == 6
    fork = [row["metrics"] for row in run.records.epochs_of("later")[:2]]
    assert fork == [row["metrics"] for row in run.records.abandoned_of(MAIN)]


def begin(*words: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "orchestrator", *words]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=os.environ | {"RAY_ADDRESS": ""}, **quiet)


def test_a_run_that_was_interrupted_and_killed_goes_on_as_if_it_had_not_been(cluster, tmp_path):
    options = {"days": 4, "sitter": "advise", "start": {"learning_rate": 0.1, "dropout": 0.2}}
    scheduled = options | {"schedule": [{"epoch": 4, "set": {"learning_rate": 0.01}}]}
    whole = orchestrator.run(experiment(tmp_path, "whole", scheduled), progress=False)
    file, path = tmp_path / "cut.yaml", tmp_path / "cut"
    file.write_text(yaml.safe_dump(experiment(tmp_path, "cut", options)))

    driver = begin("run", str(file))
    until(lambda: (path / "trials.jsonl").exists() and open_run(path).records.trials)
    cut = open_run(path)
    cut.pause(at_day=3)
    paused(cut, 4)
    driver.send_signal(2)
    driver.wait(30)
    assert cut.reload().status == "interrupted"
    cut.note("asked while nobody drives")

    driver = begin("resume", str(path))
    until(lambda: len([e for e in entries(cut.reload(), kind="applied", action="note")]) == 1)
    driver.kill()
    driver.wait()
    cut.set(learning_rate=0.01)
    cut.continue_()

    run = flow.resume(path, progress=False)
    assert run.status == "finished"
    curve = [row["metrics"] for row in run.records.epochs_of(MAIN)]
    assert curve == [row["metrics"] for row in whole.records.epochs_of(MAIN)]
    assert [row["epoch"] for row in run.records.epochs] == list(range(1, 9))
    ids = [entry["id"] for entry in run.records.journal]
    assert len(ids) == len(set(ids))
    assert run.records.winner["test"] == whole.records.winner["test"]
