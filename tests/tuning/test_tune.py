"""What Ray Tune is told. Ray is imported here, never started."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

from ray import cloudpickle

from orchestrator import redaction
from orchestrator.trials import Progress
from orchestrator.tuning.protocol import Report, Sitting
from orchestrator.tuning.stage import Stage
from orchestrator.tuning.tune import Conductor, PlannedTrials
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


def test_the_winner_is_examined_by_the_last_worker_where_others_wait_for_a_promotion_in_vain():
    play = Play(2, scheduler={"asha": {"promote": True, "reduction_factor": 2}})
    asked = []
    conductor = Conductor(play.stage, SimpleNamespace(on_last_worker=asked.append))
    for trial in play.begin():
        play.report(trial, 1, value={"00000": 0.9, "00001": 0.1}[trial])
    play.begin()
    actor = SimpleNamespace(ray_actor="the worker of 00000")
    trial = SimpleNamespace(config={"trial": "00000"}, temporary_state=actor)
    row = {"trial": "00000", "epoch": 9, "seconds": 1.0, "metrics": {"val_accuracy": 0.9}}
    last = Report("00000", Progress(rows=[row], done=True), None, {})
    assert conductor.on_trial_result(None, trial, {"report": last}) == "STOP"
    assert [ask.func.__name__ for ask in asked] == ["_asked"]
