"""Workers with lanes as Ray Tune's seats, and how many lanes there are. Ray is imported here, never started."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from orchestrator.experiment.remaining import Resumed
from orchestrator.experiment.resume import with_lanes_as_chosen
from orchestrator.records.events import LANES_CHOSEN
from orchestrator.trials import Progress
from orchestrator.tuning import lanes as lanes_module
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.lane_choice import with_lanes_chosen
from orchestrator.tuning.lanes import LaneConductor, LaneEngine, LaneWorker
from orchestrator.tuning.protocol import Report
from tests.tuning.play import DIED, OOM, Play


class Worker:
    """What a seat's actor is told."""

    def __init__(self, name):
        self.told = []
        self.take = SimpleNamespace(remote=lambda spec: self.told.append(f"take {spec.trial[-1]}"))
        self.drop = SimpleNamespace(remote=lambda trial: self.told.append(f"drop {trial[-1]}"))
        state = SimpleNamespace(ray_actor=self)
        self.seat = SimpleNamespace(trial_id=name, temporary_state=state, error_file=None)


def report(trial, epoch=9):
    row = {"trial": trial, "epoch": epoch, "seconds": 1.0, "metrics": {"val_accuracy": 0.9}}
    return Report(trial, Progress(rows=[row], done=epoch == 9), None, {})


@pytest.fixture
def three(monkeypatch):
    """A seat with three lanes, taken by the first three of seven trials, and what ends workers."""
    play = Play(7, retries={"times": 0})
    conductor = LaneConductor(3, play.stage, SimpleNamespace(on_last_worker=lambda ask: None))
    worker = Worker("a")
    assert conductor.seat(worker.seat)
    monkeypatch.setattr(lanes_module, "error_of", lambda trial: None)
    return conductor, worker, play


def ends_by(monkeypatch, failure):
    monkeypatch.setattr(lanes_module, "from_worker_loss", lambda error: failure)


def test_a_lane_that_falls_free_is_taken_by_the_next_trial_while_the_others_stay(three):
    conductor, worker, _ = three
    assert worker.told == ["take 0", "take 1", "take 2"]
    told = {"reports": [report("00000", 4), report("00001"), report("00002", 4)]}
    assert conductor.on_trial_result(None, worker.seat, told) == "CONTINUE"
    assert worker.told[3:] == ["drop 1", "take 3"]


def test_a_seat_whose_last_trial_has_ended_is_given_up(three):
    conductor, worker, play = three
    for trials in ("012", "345", "6"):
        told = {"reports": [report(f"0000{trial}") for trial in trials]}
        answer = conductor.on_trial_result(None, worker.seat, told)
    assert answer == "STOP" and play.stage.over
    assert conductor.on_trial_result(None, Worker("b").seat, {"reports": []}) == "STOP"


def test_a_worker_that_died_costs_none_of_its_trials_a_try_and_they_train_alone(three, monkeypatch):
    conductor, worker, play = three
    ends_by(monkeypatch, DIED)
    conductor.on_trial_error(None, worker.seat)
    assert play.heard.ends == {} and play.heard.again == []
    after = [Worker(name) for name in "bcd"]
    for each in after:
        assert conductor.seat(each.seat)
    assert [each.told for each in after] == [["take 0"], ["take 1"], ["take 2"]]
    conductor.on_trial_error(None, after[1].seat)
    assert [(name, end.status) for name, end in play.heard.ends.items()] == [("00001", "failed")]
    conductor.on_trial_result(None, after[0].seat, {"reports": [report("00000")]})
    assert after[0].told == ["take 0", "drop 0", "take 3", "take 4", "take 5"]


def test_a_seat_with_others_leaves_those_that_are_to_train_alone(three, monkeypatch):
    conductor, worker, _ = three
    other = Worker("b")
    assert conductor.seat(other.seat)
    ends_by(monkeypatch, DIED)
    conductor.on_trial_error(None, worker.seat)
    told = {"reports": [report("00003"), report("00004", 1), report("00005", 1)]}
    assert conductor.on_trial_result(None, other.seat, told) == "CONTINUE"
    assert other.told[3:] == ["drop 3", "take 6"]
    assert conductor.waits_for_a_seat, "for one of its own"


def test_lanes_that_ran_out_of_memory_become_half_as_many(three, monkeypatch):
    conductor, worker, play = three
    ends_by(monkeypatch, OOM)
    conductor.on_trial_error(None, worker.seat)
    assert ("fewer_at_once", {"trials": 1}) in play.heard.events


@dataclass(frozen=True)
class Job:
    lanes: object = "auto"


def chosen(play, answer):
    plan = replace(play.plan, lanes="auto")
    return with_lanes_chosen(plan, Job(), play.stage, play.heard, lambda spec, most: answer)


def test_what_was_measured_is_said_and_recorded_and_the_trial_tried_is_still_to_come():
    play = Play(4)
    plan, job = chosen(play, {"lanes": 2, "reason": "2, since", "measured": []})
    assert (plan.lanes, job.lanes) == (2, 2)
    assert play.heard.events == [(LANES_CHOSEN, {"lanes": 2, "measured": []})]
    assert play.begin() == ["00000", "00001", "00002", "00003"]


def test_where_none_turn_out_to_be_best_a_worker_trains_one_trial_at_a_time():
    play = Play(4)
    plan, job = chosen(play, {"lanes": None, "reason": "none", "measured": []})
    conductor = LaneEngine().conductor(plan, play.stage, None)
    workers = [Worker(name) for name in "ab"]
    assert all([conductor.seat(worker.seat) for worker in workers])
    assert [worker.told for worker in workers] == [["take 0"], ["take 1"]]
    of_ray = LaneWorker.__new__(LaneWorker)
    of_ray.setup({}, job)
    assert of_ray._lanes.places == 1


def test_a_trial_that_fails_leaves_the_choice_to_the_next_sitting():
    play = Play(2)
    plan, job = chosen(play, Failure("error", "ValueError: units", "Traceback"))
    assert plan.lanes is job.lanes is None
    assert [name for name, _ in play.heard.events] == ["lanes_not_tried"]


def test_a_run_that_goes_on_has_the_lanes_that_it_chose():
    @dataclass(frozen=True)
    class Prepared:
        plan: object

    events = [{"event": "run_started"}, {"event": LANES_CHOSEN, "lanes": 4}]
    plan = replace(Play(1).plan, lanes="auto")
    resumed = Resumed(Prepared(plan), SimpleNamespace(events=events))
    assert with_lanes_as_chosen(resumed).plan.lanes == 4
    assert with_lanes_as_chosen(Resumed(Prepared(plan))).plan.lanes == "auto"
    fixed = Resumed(Prepared(replace(plan, lanes=8)), SimpleNamespace(events=events))
    assert with_lanes_as_chosen(fixed).plan.lanes == 8
