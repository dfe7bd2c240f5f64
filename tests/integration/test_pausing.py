"""A scheduler of the user's own pauses trials and promotes the better half: those go on as if they had never waited."""

from __future__ import annotations

import pytest
import yaml

import orchestrator

HALVING = '''
import os
import signal

from orchestrator.schedulers import Decision


class Halving:
    """Pauses each trial after its second epoch; once all are there, the better half goes on."""

    name = "halving"
    milestones = (2,)

    def __init__(self, trials, epochs, mode):
        self.trials, self.values, self.promoted = trials, {}, False

    def report(self, trial, epoch, value, ties=None):
        if epoch == 2:
            self.values[trial] = value
            if os.environ.get("CUT_OFF_AT") == trial:
                del os.environ["CUT_OFF_AT"]
                signal.raise_signal(signal.SIGINT)
        return Decision(stop=False, pause=epoch == 2)

    def review(self, epoch):
        return {}

    def promote(self):
        if len(self.values) < self.trials or self.promoted:
            return []
        self.promoted = True
        return sorted(self.values, key=lambda trial: -self.values[trial])[: self.trials // 2]
'''


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    """`halved(name, scheduler, **keys of run)`: a run of four trials."""
    place = tmp_path_factory.mktemp("pausing")
    (place / "mine.py").write_text(HALVING)

    def run(name, scheduler="none", **more):
        content = {
            "name": name, "model": "mlp", "data": "digits", "seed": 4, "epochs": 4,
            "search_space": {"learning_rate": "loguniform(0.001, 3)", "units": "choice([8, 16])"},
            "storage_path": str(place / "runs"),
            "caviar": {"num_samples": 4, "scheduler": scheduler, "max_concurrent_trials": 1},
        }  # fmt: skip
        file = place / f"{name}.yaml"
        file.write_text(yaml.safe_dump(content))
        return orchestrator.run(file, progress=False, **more)

    return run


@pytest.fixture(scope="module")
def whole(halved):
    """The same four trials, none of which waits."""
    return halved("whole", executor="inline")


MINE = {"./mine.py:Halving": {"trials": 4}}


def curve(run, trial):
    return [row["metrics"] for row in run.records.of(trial).epochs]


def check(run, whole, by_this_driver=True):
    at_the_pause = {t.trial: curve(whole, t.trial)[1]["val_accuracy"] for t in whole.records.trials}
    better = sorted(at_the_pause, key=lambda trial: -at_the_pause[trial])[:2]
    for trial in run.records.trials:
        goes_on = trial.trial in better
        assert trial.status == ("finished" if goes_on else "stopped")
        assert curve(run, trial.trial) == curve(whole, trial.trial)[: 4 if goes_on else 2]
        if not goes_on:
            assert (trial.stopped_by["scheduler"], trial.stopped_by["epoch"]) == ("halving", 2)
            if by_this_driver:
                assert trial.parameters and trial.path == "compiled"
    assert run.best.trial in better and run.best.test is not None


def test_in_this_process(halved, whole):
    check(halved("inline", MINE, executor="inline"), whole)


def test_on_ray_tune(cluster, halved, whole):
    check(halved("tune", MINE), whole)


def test_what_is_paused_when_the_run_is_cut_off_waits_on_and_goes_on(halved, whole, monkeypatch):
    monkeypatch.setenv("CUT_OFF_AT", "00002")
    cut = halved("cut", MINE, executor="inline")
    assert {trial.status for trial in cut.records.trials} == {"interrupted"}
    assert [len(curve(cut, trial.trial)) for trial in cut.records.trials] == [2, 2, 2]
    check(
        orchestrator.resume(cut.path, progress=False, executor="inline"),
        whole,
        by_this_driver=False,
    )
