"""What Ray Tune is told. Ray is imported here, never started."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray import cloudpickle

from orchestrator import redaction
from orchestrator.trials import Progress
from orchestrator.tuning.protocol import Report, Sitting
from orchestrator.tuning.stage import Stage
from orchestrator.tuning.tune import Conductor, PlannedSeats
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
    conductor, worker = Conductor(stage, None), Worker()
    seat = PlannedSeats(conductor).suggest("whatever Tune calls it")
    conductor.seat(worker.seat("whatever Tune calls it"))
    assert SECRET.encode() not in cloudpickle.dumps((seat, worker.taken))
    assert SECRET not in repr((seat, worker.taken))
    assert [each.restored() for each in worker.taken] == [spec]


class Worker:
    """What a seat's actor is told."""

    def __init__(self):
        self.taken = []
        self.take = SimpleNamespace(remote=self.taken.append)

    def seat(self, name):
        state = SimpleNamespace(ray_actor=self)
        return SimpleNamespace(trial_id=name, temporary_state=state, error_file=None)


def ended(trial):
    row = {"trial": trial, "epoch": 9, "seconds": 1.0, "metrics": {"val_accuracy": 0.9}}
    return {"report": Report(trial, Progress(rows=[row], done=True), None, {})}


@pytest.fixture
def two():
    """Two seats of a run of five trials, both taken, and another that waits."""
    play = Play(5)
    conductor = Conductor(play.stage, SimpleNamespace(on_last_worker=lambda ask: None))
    search = PlannedSeats(conductor)
    asked = [search.suggest(name) for name in "abc"]
    assert all(asked)
    workers = [Worker(), Worker()]
    seats = [worker.seat(name) for worker, name in zip(workers, "ab", strict=True)]
    assert all(map(conductor.seat, seats))
    return conductor, seats, workers, play


def took(workers):
    return [[spec.trial for spec in worker.taken] for worker in workers]


def test_a_seat_is_taken_by_the_trial_that_waits_longest_as_soon_as_another_has_ended(two):
    conductor, (_, second), workers, _ = two
    assert took(workers) == [["00000"], ["00001"]]
    assert conductor.on_trial_result(None, second, ended("00001")) == "CONTINUE"
    assert conductor.on_trial_result(None, second, ended("00002")) == "CONTINUE"
    assert took(workers) == [["00000"], ["00001", "00002", "00003"]]


def test_a_seat_that_begins_when_nobody_waits_is_given_up(two):
    conductor, (first, second), _, play = two
    for name in ("00001", "00002", "00003"):
        conductor.on_trial_result(None, second, ended(name))
    assert conductor.on_trial_result(None, second, ended("00004")) == "STOP"
    assert not conductor.seat(Worker().seat("c"))
    assert conductor.on_trial_result(None, Worker().seat("c"), {"report": None}) == "STOP"
    assert conductor.on_trial_result(None, first, ended("00000")) == "STOP"
    assert play.stage.over


def test_a_lost_seat_costs_the_trial_that_had_it_last(two):
    conductor, (_, second), _, play = two
    conductor.on_trial_result(None, second, ended("00001"))
    conductor.on_trial_error(None, second)
    conductor.on_trial_error(None, second)
    assert [again[:2] for again in play.heard.again] == [("00002", "worker_died")]


def test_a_round_has_so_many_trials_whatever_its_seats(two, monkeypatch):
    conductor, (_, second), workers, _ = two
    conductor._left = 1
    for name in ("00001", "00002"):
        assert conductor.on_trial_result(None, second, ended(name)) == "CONTINUE"
    assert conductor.on_trial_result(None, second, ended("00003")) == "STOP"
    assert took(workers)[1] == ["00001", "00002", "00003"]


def test_no_further_trial_begins_once_the_run_is_asked_to_stop(two):
    conductor, (_, second), workers, _ = two
    conductor.stopping = lambda: True
    assert conductor.on_trial_result(None, second, ended("00001")) == "STOP"
    assert took(workers) == [["00000"], ["00001"]]


def test_the_winner_is_examined_by_the_last_worker_where_others_wait_for_a_promotion_in_vain():
    play = Play(2, scheduler={"asha": {"promote": True, "reduction_factor": 2}})
    asked = []
    conductor = Conductor(play.stage, SimpleNamespace(on_last_worker=asked.append))
    for trial in play.begin():
        play.report(trial, 1, value={"00000": 0.9, "00001": 0.1}[trial])
    play.begin()
    actor = SimpleNamespace(ray_actor="the worker of 00000")
    trial = SimpleNamespace(trial_id="seat", temporary_state=actor)
    row = {"trial": "00000", "epoch": 9, "seconds": 1.0, "metrics": {"val_accuracy": 0.9}}
    last = Report("00000", Progress(rows=[row], done=True), None, {})
    assert conductor.on_trial_result(None, trial, {"report": last}) == "STOP"
    assert [ask.func.__name__ for ask in asked] == ["asked_of"]
