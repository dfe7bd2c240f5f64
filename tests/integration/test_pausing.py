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
    (place / "mine.py").write_text(HALVING + PROMOTING)

    def run(name, scheduler="none", epochs=4, **more):
        content = {
            "name": name, "model": "mlp", "data": "digits", "seed": 4, "epochs": epochs,
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


# ASHA's promotion variant: as a user's class where it is to be cut off.

PROMOTING = """

from orchestrator.schedulers import AshaOptions


def promoting(epochs, mode, cut_off_at=None):
    made = AshaOptions(promote=True, reduction_factor=2).make(epochs, mode)
    report = made.report

    def reported(trial, epoch, *told):
        decision = report(trial, epoch, *told)
        if os.environ.get("CUT_OFF_AT") == f"{trial}/{epoch}":
            del os.environ["CUT_OFF_AT"]
            signal.raise_signal(signal.SIGINT)
        return decision

    made.report = reported
    return made
"""
ASHA = {"asha": {"promote": True, "reduction_factor": 2}}


@pytest.fixture(scope="module")
def whole_asha(halved):
    """Four trials under ASHA that promotes, in this process and never cut off."""
    return halved("asha-inline", ASHA, executor="inline")


def epochs_and_endings(run):
    return {t.trial: (len(curve(run, t.trial)), t.status, t.stopped_by) for t in run.records.trials}


def check_promoted(run, whole):
    found = epochs_and_endings(run)
    assert len(found) == 4
    for trial, (epochs, status, stopped_by) in found.items():
        assert curve(run, trial) == curve(whole, trial)[:epochs]
        assert status == ("finished" if epochs == 4 else "stopped")
        if epochs < 4:
            assert (stopped_by["epoch"], stopped_by["paused"]) == (epochs, True)
            assert stopped_by["value"] <= stopped_by["cutoff"]
    lengths = sorted(epochs for epochs, _, _ in found.values())
    assert lengths[-1] == 4
    assert lengths[0] == 1
    assert run.best.test is not None


def test_asha_promotes_in_this_process(whole_asha, whole):
    check_promoted(whole_asha, whole)


def test_asha_promotes_on_ray_tune_as_in_this_process(cluster, halved, whole_asha):
    run = halved("asha-tune", ASHA)
    assert epochs_and_endings(run) == epochs_and_endings(whole_asha)


@pytest.mark.parametrize(
    "at", ["00002/1", *(pytest.param(at, marks=pytest.mark.slow) for at in ("00001/2", "00003/1"))]
)
def test_asha_promotes_over_a_resume_whom_it_would_have_promoted(
    halved, whole_asha, monkeypatch, at
):
    name = at.replace("/", "-")
    monkeypatch.setenv("CUT_OFF_AT", at)
    cut = halved(f"asha-cut-{name}", "./mine.py:promoting", executor="inline")
    assert (
        "interrupted" in {trial.status for trial in cut.records.trials}
        or len(cut.records.trials) < 4
    )
    resumed = orchestrator.resume(cut.path, progress=False, executor="inline")
    assert epochs_and_endings(resumed) == epochs_and_endings(whole_asha)


@pytest.mark.parametrize(
    "lengths", [(1, 2, 4), pytest.param((3, 4), marks=pytest.mark.slow)], ids=str
)
def test_a_run_that_is_made_longer_ends_where_a_longer_one_does(halved, whole_asha, lengths):
    name = "-".join(map(str, lengths))
    first, *later = lengths
    run = halved(f"deeper-{name}", ASHA, epochs=first, executor="inline")
    for epochs in later:
        run = orchestrator.extend(run.path, epochs=epochs, progress=False, executor="inline")
    assert epochs_and_endings(run) == epochs_and_endings(whole_asha)
    assert {t.trial: curve(run, t.trial) for t in run.records.trials} == {
        t.trial: curve(whole_asha, t.trial) for t in whole_asha.records.trials
    }
    assert run.best.trial == whole_asha.best.trial
