"""A run's trials, told by hand: no Ray, no worker, a clock that is set."""

from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.strategies import make_plan
from orchestrator.training.progress import Progress
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.job import Report, Sitting, Spent
from orchestrator.tuning.stage import Stage

DIED = Failure("worker_died", "worker died: x", "x")
BUG = Failure("error", "ValueError: units", "Traceback", passing=False)
FULL = Failure("disk", "OSError: full", "Traceback", bytes_needed=99)
OOM = Failure("out_of_memory", "MemoryError", "Traceback")


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.ends, self.begun, self.again, self.at_once, self.rows = {}, [], [], [], []
        self.paused_seconds = 0.0
        self.disk_needs_waiting = True

    def started(self, spec):
        self.begun.append(spec.trial)

    def epochs(self, rows):
        self.rows += rows

    def ended(self, end, traceback):
        assert end.trial not in self.ends, "a trial ends once"
        self.ends[end.trial] = end

    def tried_again(self, trial, failure, attempt, wait):
        self.again.append((trial, failure.kind, attempt, wait))

    def fewer_at_once(self, trials):
        self.at_once.append(trials)

    def wait_for_disk(self, needed):
        return self.disk_needs_waiting


class Play:
    """A stage with its listener and its clock."""

    def __init__(self, trials=4, spent=None, scheduler="none", **keys):
        experiment = parse_experiment(
            {
                "name": "one", "model": "mlp", "data": "digits", "epochs": 9,
                "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
                "caviar": {"num_samples": trials, "scheduler": scheduler},
            } | keys
        )  # fmt: skip
        self.plan = make_plan(experiment, Space.parse(experiment.search_space))
        self.heard, self.time = Heard(), 0.0
        sitting = Sitting(2, spent=spent or Spent())
        self.stage = Stage(self.plan, self.heard, sitting, now=lambda: self.time)

    def begin(self, most=9):
        """Let workers take trials; return which."""
        begun = []
        while len(begun) < most and (spec := self.stage.next_trial()) is not None:
            self.stage.started(spec.trial)
            begun.append(spec.trial)
        return begun

    def report(self, trial, *epochs, value=0.5, failure=None, **ending):
        rows = [
            {"trial": trial, "epoch": epoch, "seconds": 1.0,
             "metrics": {"loss": 1.0, "val_accuracy": value}}
            for epoch in epochs
        ]  # fmt: skip
        return self.stage.heard(Report(trial, Progress(rows=rows, **ending), failure, {}), 1.0)


def test_a_run_is_over_when_each_trial_has_ended():
    play = Play(2)
    play.begin()
    assert play.report("00000", 1) and not play.report("00000", 9, done=True)
    assert not play.stage.over
    assert not play.report("00001", 1, diverged=True)
    assert play.stage.over and play.stage.reason is None
    assert {name: end.status for name, end in play.heard.ends.items()} == {
        "00000": "finished",
        "00001": "diverged",
    }


def test_a_lost_worker_costs_its_trial_nothing_but_the_wait():
    play = Play(1)
    play.begin()
    play.stage.lost("00000", DIED)
    assert play.heard.again == [("00000", "worker_died", 2, 5.0)]
    assert play.begin() == [] and not play.stage.over
    play.time = 5.0
    assert play.begin() == ["00000"]
    assert play.heard.begun == ["00000"], "the trial goes on, it does not begin anew"
    play.report("00000", 9, done=True)
    assert (play.heard.ends["00000"].status, play.heard.ends["00000"].attempts) == ("finished", 2)


def test_a_worker_that_dies_every_time_makes_a_failed_trial():
    play = Play(1, retries={"times": 2, "wait": "1 second"})
    for _ in range(3):
        play.begin()
        play.stage.lost("00000", DIED)
        play.time += 10
    end = play.heard.ends["00000"]
    assert (end.status, end.failure, end.attempts) == ("failed", "worker_died", 3)
    assert play.stage.over


def test_a_worker_that_dies_before_its_trial_began_is_no_lost_trial():
    play = Play(1)
    play.stage.next_trial()
    play.stage.lost("00000", DIED)
    play.time = 5.0
    assert play.begin() == ["00000"]


def test_a_bug_in_the_model_is_not_tried_again():
    play = Play(2)
    play.begin()
    assert not play.report("00000", failure=BUG)
    end = play.heard.ends["00000"]
    assert (end.status, end.failure, end.error, end.attempts) == (
        "failed", "error", "ValueError: units", 1,
    )  # fmt: skip
    assert play.heard.again == []


def test_rows_told_before_an_error_are_kept():
    play = Play(1)
    play.begin()
    play.report("00000", 1, 2, failure=BUG)
    assert [row["epoch"] for row in play.heard.rows] == [1, 2]


def test_out_of_memory_lets_fewer_train_at_once():
    play = Play(6)
    play.begin(3)
    play.stage.lost("00001", OOM)
    assert play.heard.at_once == [2]
    assert play.begin() == []
    play.report("00000", 9, done=True)
    assert play.begin() == ["00003"]


def test_a_full_disk_is_waited_for_and_costs_no_try():
    play = Play(1, retries={"times": 0})
    play.begin()
    assert not play.report("00000", failure=FULL)
    assert play.heard.ends == {}
    assert play.begin() == ["00000"]


def test_a_disk_that_is_full_for_the_trial_alone_is_tried_again_like_anything():
    play = Play(1, retries={"times": 0})
    play.heard.disk_needs_waiting = False
    play.begin()
    play.report("00000", failure=FULL)
    assert play.heard.ends["00000"].failure == "disk"


def test_a_trial_out_of_time_is_stopped_at_its_next_report():
    play = Play(1, limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 59.0
    assert play.report("00000", 1)
    play.time = 60.0
    assert not play.report("00000", 2)
    end = play.heard.ends["00000"]
    assert (end.status, end.stopped_by["scheduler"]) == ("stopped", "max_trial_time")


def test_a_trial_that_does_not_come_back_is_to_be_killed_once_and_is_a_timeout():
    play = Play(2, limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 69.0
    assert play.stage.hung() == []
    play.time = 71.0
    assert play.stage.hung() == ["00000", "00001"] and play.stage.hung() == []
    play.stage.lost("00000", DIED)
    end = play.heard.ends["00000"]
    assert (end.status, end.failure) == ("failed", "timeout")
    assert play.heard.again == []


def test_a_trial_of_long_epochs_may_overstay_by_two_of_them():
    play = Play(1, limits={"max_trial_time": "1 minute"})
    play.begin()
    play.time = 40.0
    play.report("00000", 1)
    play.time = 139.0
    assert play.stage.hung() == []
    play.time = 141.0
    assert play.stage.hung() == ["00000"]


def test_time_spent_waiting_for_a_disk_does_not_count():
    play = Play(1, limits={"max_trial_time": "1 minute", "max_run_time": "2 minutes"})
    play.begin()
    play.time, play.heard.paused_seconds = 1000.0, 990.0
    assert play.stage.hung() == []
    assert play.report("00000", 1)


@pytest.mark.parametrize(
    ("limits", "spent", "reason"),
    [
        ({"max_epochs": 5}, Spent(epochs=3), "limits.max_epochs of 5 is used up"),
        ({"max_run_time": "1 hour"}, Spent(seconds=3600), "limits.max_run_time of 1 hour is used"),
    ],
)
def test_a_run_that_meets_a_limit_ends_with_the_next_reports(limits, spent, reason):
    play = Play(4, spent=spent, limits=limits, caviar={"num_samples": 4, "scheduler": "none"})
    play.begin(2) if "max_epochs" in limits else None
    if "max_epochs" in limits:
        assert not play.report("00000", 1, 2)
        assert play.heard.ends["00000"].status == "interrupted", "so that it can go on"
        assert not play.report("00001", 1)
    assert play.begin() == []
    assert play.stage.over and reason in play.stage.reason


def test_no_more_than_max_trials_are_started_and_those_in_training_finish():
    play = Play(6, spent=Spent(trials=1), limits={"max_trials": 3})
    assert play.begin() == ["00000", "00001"]
    assert play.stage.reason == "limits.max_trials of 3 is used up"
    assert play.report("00000", 1) and not play.stage.over
    play.report("00000", 9, done=True)
    play.report("00001", 9, done=True)
    assert play.stage.over


def test_too_many_failed_trials_end_the_run_which_says_why():
    play = Play(6, spent=Spent(failed=1), limits={"max_failed_trials": 2})
    play.begin(3)
    play.report("00000", failure=BUG)
    assert play.begin(1) == ["00003"], "as many as allowed"
    play.report("00001", failure=BUG)
    assert play.begin() == []
    assert play.stage.reason == "given up: 3 trials failed, limits.max_failed_trials is 2"
    play.report("00002", 1)
    play.stage.lost("00003", DIED)
    assert play.heard.ends["00003"].status == "interrupted", "no more tries, but not its fault"
    assert play.stage.over


def test_trials_that_hang_when_the_run_is_over_are_killed_and_interrupted():
    play = Play(2, limits={"max_run_time": "1 minute"})
    play.begin()
    play.time = 60.0
    assert play.stage.hung() == []
    play.time = 71.0
    for trial in play.stage.hung():
        play.stage.lost(trial, DIED)
    assert {end.status for end in play.heard.ends.values()} == {"interrupted"}
    assert play.stage.over


def test_the_scheduler_stops_a_trial_at_its_rung():
    play = Play(3, scheduler={"asha": {"grace_period": 1, "reduction_factor": 3}})
    play.begin()
    assert play.report("00000", 1, value=0.9)
    assert not play.report("00001", 1, value=0.1)
    end = play.heard.ends["00001"]
    assert end.stopped_by == {"scheduler": "asha", "epoch": 1, "value": 0.1, "cutoff": 0.9}


def test_a_panda_is_not_over_while_it_may_still_branch():
    play = Play(strategy="panda", panda={"start": {"learning_rate": 0.1}, "days": 3})
    assert play.begin() == ["00000"]
    assert play.stage.next_trial() is None and not play.stage.over
    branch = {"trial": "gentle", "seed": 1, "hyperparameters": {}, "checkpoint": "day-1.npz"}
    play.report("00000", 1, branches=[branch])
    assert play.begin() == ["gentle"]
    play.report("00000", 3, done=True)
    assert not play.stage.over
    play.report("gentle", 3, done=True)
    assert play.stage.over
