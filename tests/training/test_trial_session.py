"""A trial in training, killed and taken up again by another worker."""

from __future__ import annotations

import pytest

from orchestrator.config import Span
from orchestrator.strategies import TrialSpec
from orchestrator.training.progress import Progress
from orchestrator.training.session import Goal
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_session import TrialSession

SPEC = TrialSpec("00000", 0, 3, {"learning_rate": 0.05, "units": 4})


@pytest.fixture
def begin(mlp, tmp_path):
    """`begin(milestones)`: the trial in a new worker, which keeps its state after every epoch."""

    def session(*milestones):
        every = Span(1, "epoch")
        goal = Goal("val_accuracy", "max", frozenset(milestones), tmp_path, every)
        return TrialSession(Trainer(mlp), SPEC, goal)

    return session


def report(session):
    progress = Progress()
    session.advance(progress, 0.0)
    return [(row["epoch"], row["metrics"]) for row in progress.rows]


def test_what_was_trained_and_not_heard_is_told_again_with_the_next_epoch(begin):
    killed = begin()
    first, unheard = report(killed), report(killed)
    assert [epoch for epoch, _ in first] == [1]
    again = report(begin())
    assert again[:1] == unheard
    assert [epoch for epoch, _ in again] == [2, 3]


def test_the_driver_decides_at_a_rung_before_a_trial_taken_up_there_trains_on(begin):
    report(begin(1))
    taken_up = begin(1)
    assert [epoch for epoch, _ in report(taken_up)] == [1]
    assert [epoch for epoch, _ in report(taken_up)] == [2]


def test_a_trial_killed_after_its_last_epoch_trains_no_further(begin, mlp):
    killed = begin()
    for _ in range(mlp.epochs):
        report(killed)
    killed.keep()
    progress = Progress()
    begin().advance(progress, 0.0)
    assert [row["epoch"] for row in progress.rows] == [mlp.epochs]
    assert progress.done
