"""How a panda ends, and that an interruption, a kill or a lost worker is no end."""

from __future__ import annotations

import yaml

import orchestrator
from orchestrator.experiment import flow, open_run
from orchestrator.records.jsonl import read_lines
from tests.integration.people import (
    MAIN,
    Person,
    begin,
    entries,
    experiment,
    paused,
    until,
    workers,
)


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
    person.join(300)
    assert person.done
    panda, branch = run.records.trial(MAIN), run.records.trial("later")
    assert panda.ended <= branch.started
    assert (panda.status, branch.status) == ("stopped", "finished")
    assert panda.stopped_by == {"scheduler": "panda"}
    assert len(run.records.of(MAIN).epochs) == 4
    assert len(run.records.of("later").epochs) == 6
    fork = [row["metrics"] for row in run.records.of("later").epochs[:2]]
    assert fork == [row["metrics"] for row in run.records.of(MAIN).abandoned_epochs]


def test_a_panda_whose_worker_died_is_taken_up_by_another(cluster, tmp_path):
    def asks(run):
        run.pause(at_day=2)
        paused(run, 2)
        for worker in workers():
            worker.kill()
        run.set(learning_rate=0.05)
        run.continue_()

    person = Person(tmp_path / "lost", asks)
    person.start()
    options = {"days": 2, "sitter": "off", "start": {"learning_rate": 0.1}}
    run = orchestrator.run(experiment(tmp_path, "lost", options), progress=False)
    person.join(300)
    assert person.done
    assert [trial.status for trial in run.records.trials] == ["finished"]
    rates = [(row["epoch"], row["metrics"]["learning_rate"]) for row in run.records.epochs]
    assert rates == [(1, 0.1), (2, 0.1), (3, 0.05), (4, 0.05)]
    assert len(entries(run, kind="asked")) == 3
    starts = [line["event"] for line in read_lines(run.path / "trials.jsonl")]
    assert starts == ["started", "ended"]
    assert run.records.trials[0].attempts == 2
    assert run.records.winner is not None


def test_a_run_that_was_interrupted_and_killed_goes_on_as_if_it_had_not_been(tmp_path):
    options = {"days": 4, "sitter": "advise", "start": {"learning_rate": 0.1, "dropout": 0.2}}
    scheduled = options | {"schedule": [{"epoch": 4, "set": {"learning_rate": 0.01}}]}
    whole = orchestrator.run(
        experiment(tmp_path, "whole", scheduled), progress=False, executor="inline"
    )
    file, path = tmp_path / "cut.yaml", tmp_path / "cut"
    file.write_text(yaml.safe_dump(experiment(tmp_path, "cut", options)))

    driver = begin("run", str(file))
    until(lambda: (path / "trials.jsonl").exists() and open_run(path).records.trials)
    cut = open_run(path)
    cut.pause(at_day=3)
    paused(cut, 4)
    driver.send_signal(2)
    driver.wait(300)
    assert cut.reload().status == "interrupted"
    cut.note("asked while nobody drives")

    driver = begin("resume", str(path))
    until(lambda: len([e for e in entries(cut.reload(), kind="applied", action="note")]) == 1)
    driver.kill()
    driver.wait()
    cut.set(learning_rate=0.01)
    cut.continue_()

    run = flow.resume(path, progress=False, executor="inline")
    assert run.status == "finished"
    curve = [row["metrics"] for row in run.records.of(MAIN).epochs]
    assert curve == [row["metrics"] for row in whole.records.of(MAIN).epochs]
    assert [row["epoch"] for row in run.records.epochs] == list(range(1, 9))
    ids = [entry["id"] for entry in run.records.journal]
    assert len(ids) == len(set(ids))
    assert run.records.winner["test"] == whole.records.winner["test"]
