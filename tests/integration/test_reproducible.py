"""``caviar.reproducible``: the same table in this process and on 1, 2 and 3 workers, cut off in between or not."""

from __future__ import annotations

import signal
import textwrap

import pytest
import yaml

import orchestrator
from orchestrator.search.logical_time import LogicalTime

NET = """
    import time

    import keras

    def build(hp, input_shape, num_classes):
        time.sleep(hp["slow"])
        return keras.Sequential([
            keras.Input(input_shape), keras.layers.Flatten(),
            keras.layers.Dense(num_classes, activation="softmax"),
        ])
"""
OF_A_WORKER = ["seconds", "time"]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """`begun(name, slots, **keys of run)`: a run of nine trials, of which some begin late."""
    place = tmp_path_factory.mktemp("reproducible")
    (place / "net.py").write_text(textwrap.dedent(NET))

    def run(name, slots=1, **more):
        content = {
            "name": name, "model": "./net.py", "data": "digits", "seed": 3, "epochs": 4,
            "search_space": {"learning_rate": "loguniform(0.0001, 1)", "slow": "choice([0, 1])"},
            "storage_path": str(place / "runs"), "resources": {"cpu": 0.5},
            "caviar": {"num_samples": 9, "scheduler": {"asha": {"reduction_factor": 2}},
                       "max_concurrent_trials": slots, "reproducible": True},
        }  # fmt: skip
        file = place / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content))
        return orchestrator.run(file, progress=False, **more)

    return run


@pytest.fixture(scope="module")
def whole(begun):
    return begun("inline", executor="inline")


@pytest.fixture
def waited(monkeypatch):
    """The trials that were told to wait."""
    waited, report = [], LogicalTime.report

    def spied(self, trial, *told):
        decision = report(self, trial, *told)
        if decision.pause:
            waited.append(trial)
        return decision

    monkeypatch.setattr(LogicalTime, "report", spied)
    return waited


def tables(run):
    trials, epochs = run.table(), run.epochs()
    epochs = epochs.sort_values(["trial", "epoch"]).reset_index(drop=True)
    return trials.drop(columns="seconds"), epochs.drop(columns=OF_A_WORKER)


def check_same(run, whole):
    for mine, theirs in zip(tables(run), tables(whole), strict=True):
        assert mine.equals(theirs), f"{mine.compare(theirs)}"
    assert run.best == whole.best


def test_one_worker_stops_some_and_lets_none_wait(whole):
    assert set(whole.table()["status"]) == {"stopped", "finished"}


def test_two_workers_make_the_same_table(cluster, begun, whole, waited):
    check_same(begun("two", 2), whole)
    assert waited


def test_three_workers_that_are_cut_off_and_followed_by_two_make_the_same_table(
    cluster, begun, whole, waited, monkeypatch
):
    spied, reports = LogicalTime.report, []

    def cut_off(self, trial, *told):
        reports.append(trial)
        if len(reports) == 8:
            signal.raise_signal(signal.SIGINT)
        return spied(self, trial, *told)

    with monkeypatch.context() as cutting:
        cutting.setattr(LogicalTime, "report", cut_off)
        cut = begun("cut", 3)
    assert cut.status == "interrupted" and waited
    check_same(orchestrator.resume(cut.path, progress=False), whole)
