"""What Ray Tune is told. Ray is imported here, never started."""

from __future__ import annotations

from dataclasses import replace

from ray import cloudpickle

from orchestrator import redaction
from orchestrator.tuning.protocol import Sitting
from orchestrator.tuning.stage import Stage
from orchestrator.tuning.tune import PlannedTrials
from tests.tuning.play import Heard, Play

SECRET = "opensesame-hunter2"


def test_tune_gets_no_secret_of_a_trial_and_its_worker_has_it_back(monkeypatch):
    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    plan = Play(1).plan
    spec = replace(
        next(plan.draws()), hyperparameters={"token": SECRET}, checkpoint=f"/{SECRET}/day-00001.npz"
    )
    stage = Stage(replace(plan, points=(spec,)), Heard(), Sitting(2))
    told = PlannedTrials(stage, bool, 9).suggest("whatever Tune calls it")
    assert told["trial"] == spec.trial
    assert SECRET.encode() not in cloudpickle.dumps(told) and SECRET not in repr(told)
    assert told["spec"].restored() == spec
