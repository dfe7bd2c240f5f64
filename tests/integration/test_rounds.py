"""The seam between two rounds of trials, each with a Tune driver of its own, leaves no mark in the records."""

from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.experiment.recorder import Recorder
from orchestrator.records import RunFolder, read_run
from orchestrator.report import NullView
from orchestrator.schedulers import make_scheduler
from orchestrator.search import make_plan
from orchestrator.tuning import conductor
from orchestrator.tuning import tune as room
from orchestrator.tuning.protocol import Sitting
from tests.integration.pretending import Pretence

TRIALS, EPOCHS = 8, 4


@pytest.fixture
def records(cluster, tmp_path, monkeypatch):
    """`records(trials_a_round)`: what a run leaves, and how many rounds it took."""

    def run(trials_a_round):
        monkeypatch.setattr(conductor, "TRIALS_A_ROUND", trials_a_round)
        rounds, run_one = [], room._Rounds.run_one
        with monkeypatch.context() as counting:
            counting.setattr(
                room._Rounds, "run_one", lambda *told: (rounds.append(1), run_one(*told))
            )
            folder = RunFolder.create(tmp_path, f"rounds-of-{trials_a_round}")
            folder.write_experiment("name: one\n")
            folder.write_manifest({})
            with Recorder(folder, plan(), NullView(), bool) as recorder:
                goes_on = room.run_plan(plan(), job(), recorder, Sitting(2))
        assert goes_on.ended
        return read_run(folder.path), len(rounds)

    return run


def plan():
    experiment = parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "epochs": EPOCHS, "metric": "val_accuracy",
            "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
            "caviar": {"num_samples": TRIALS, "max_concurrent_trials": 1,
                       "scheduler": {"asha": {"promote": False, "grace_period": 1, "reduction_factor": 2}}},
        }
    )  # fmt: skip
    return make_plan(experiment, Space.parse(experiment.search_space))


def job():
    scheduler = make_scheduler(plan().scheduler, EPOCHS, "max")
    return Pretence(EPOCHS, frozenset(scheduler.milestones))


def story(records):
    """All that is recorded but times and processes."""
    timed = ("started", "ended", "seconds", "worker", "rss_mb")
    trials = [
        {name: value for name, value in vars(trial).items() if name not in timed}
        for trial in records.trials
    ]
    epochs = [(row["trial"], row["epoch"], row["metrics"]) for row in records.epochs]
    events = [event["event"] for event in records.events]
    return trials, epochs, events


def test_rounds_leave_the_records_of_one_round(records):
    one, rounds = records(1000)
    assert rounds == 1
    several, rounds = records(3)
    assert rounds == 3
    assert story(several) == story(one)
    assert {trial.status for trial in one.trials} == {"finished", "stopped"}
    assert len(one.trials) == TRIALS
