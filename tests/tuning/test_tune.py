"""What Ray Tune is told. Ray is imported here, never started."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from ray import cloudpickle

from orchestrator import redaction
from orchestrator.trials import Progress
from orchestrator.tuning.conductor import Conductor, PlannedSeats
from orchestrator.tuning.protocol import Report, Sitting
from orchestrator.tuning.stage import Stage
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
        self.taken, self.following, self.skipped = [], [], []
        self.take = SimpleNamespace(remote=self._take)
        self.skip = SimpleNamespace(remote=self.skipped.append)
        self.keep = SimpleNamespace(remote=lambda: f"kept {len(self.taken)}")

    def _take(self, spec, next_one=False):
        (self.following if next_one else self.taken).append(spec)

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


@pytest.fixture
def sure():
    """A run in which nothing is decided, whose workers have a trial each and know the next one."""
    play = Play(9)
    conductor = Conductor(play.stage, SimpleNamespace(on_last_worker=lambda ask: None))
    search = PlannedSeats(conductor)
    assert all([search.suggest("a"), search.suggest("b")])
    workers = [Worker(), Worker()]
    seats = [worker.seat(name) for worker, name in zip(workers, "ab", strict=True)]
    assert all(map(conductor.seat, seats))
    assert not workers[0].following, "nobody knows how long trials take"
    play.time = 2.0
    for seat, name in zip(seats, ("00000", "00001"), strict=True):
        conductor.on_trial_result(None, seat, ended(name))
    assert [follows(worker) for worker in workers] == [["00003"], ["00005"]]
    return conductor, seats, workers, play


def follows(worker):
    return [spec.trial for spec in worker.following]


def test_a_trial_that_follows_is_begun_when_the_one_before_is_heard_to_have_ended(sure):
    conductor, (first, _), workers, play = sure
    assert play.heard.begun == ["00000", "00001", "00002", "00004"]
    assert conductor.on_trial_result(None, first, ended("00002")) == "CONTINUE"
    assert play.heard.begun[-1] == "00003"
    assert took(workers)[0] == ["00000", "00002"]
    assert follows(workers[0]) == ["00003", "00006"]
    assert not workers[0].skipped


def test_a_lost_workers_next_trial_is_any_other_seats_next(sure):
    conductor, (first, _), _, play = sure
    conductor.on_trial_error(None, first)
    assert PlannedSeats(conductor).suggest("c")
    other = Worker()
    assert conductor.seat(other.seat("c"))
    assert [spec.trial for spec in other.taken] == ["00003"]
    assert [again[0] for again in play.heard.again] == ["00002"]


def test_a_worker_that_went_on_with_a_trial_that_is_over_is_told_so(sure):
    conductor, (first, _), workers, play = sure
    row = {"trial": "00002", "epoch": 1, "seconds": 1.0, "metrics": {"val_accuracy": 0.9}}
    play.stage._limits.out_of_time = lambda *_: True
    said = {"report": Report("00002", Progress(rows=[row]), None, {})}
    assert conductor.on_trial_result(None, first, said) == "CONTINUE"
    assert workers[0].skipped == ["00002"]
    assert conductor.on_trial_result(None, first, ended("00002")) == "CONTINUE"
    assert play.heard.ends["00002"].status == "stopped"
    assert "00003" not in play.heard.ends


def test_no_trial_waits_behind_another_when_as_few_are_left_as_there_are_seats(sure):
    conductor, seats, workers, _ = sure
    for name in ("00002", "00003", "00006"):
        conductor.on_trial_result(None, seats[0], ended(name))
    assert follows(workers[0]) == ["00003", "00006"]
    assert took(workers)[0][-1] == "00007"


def test_nothing_follows_where_trials_take_long_or_are_compared():
    for scheduler, seconds in (("none", 6.0), ("asha", 1.0)):
        play = Play(9, scheduler=scheduler)
        for trial in play.begin(most=2):
            play.time += seconds
            play.report(trial, 9, done=True)
        assert not play.stage.may_follow(1)


def paused(trial, value):
    row = {"trial": trial, "epoch": 1, "seconds": 1.0, "metrics": {"val_accuracy": value}}
    return {"report": Report(trial, Progress(rows=[row]), None, {})}


def test_a_promoted_trial_waits_for_its_state_and_no_paused_one_does():
    play = Play(9, scheduler={"asha": {"promote": True, "reduction_factor": 2}})
    conductor = Conductor(play.stage, SimpleNamespace(on_last_worker=lambda ask: None))
    waited = []
    conductor.until_kept = waited.append
    search = PlannedSeats(conductor)
    assert all([search.suggest("a"), search.suggest("b")])
    first, second = Worker().seat("a"), Worker().seat("b")
    assert conductor.seat(first) and conductor.seat(second)
    assert conductor.on_trial_result(None, first, paused("00000", 0.9)) == "CONTINUE"
    assert not waited
    assert conductor.on_trial_result(None, second, paused("00001", 0.1)) == "CONTINUE"
    assert waited == ["kept 1"], "00000 goes on, at the second seat"
    assert [spec.trial for spec in second.temporary_state.ray_actor.taken] == ["00001", "00000"]
    conductor.on_trial_result(None, first, paused("00002", 0.05))
    assert waited == ["kept 1"]


def test_a_paused_trial_whose_state_is_on_the_disk_already_is_not_asked_to_keep_it():
    play = Play(9, scheduler={"asha": {"promote": True, "reduction_factor": 2}})
    conductor = Conductor(play.stage, SimpleNamespace(on_last_worker=lambda ask: None))
    search = PlannedSeats(conductor)
    assert search.suggest("a")
    worker, asked = Worker(), []
    worker.keep = SimpleNamespace(remote=lambda: asked.append("keep"))
    seat = worker.seat("a")
    assert conductor.seat(seat)
    told = paused("00000", 0.9)
    told["report"].progress.kept = True
    conductor.on_trial_result(None, seat, told)
    assert not asked
    conductor.on_trial_result(None, seat, paused("00001", 0.1))
    assert asked == ["keep"]


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
