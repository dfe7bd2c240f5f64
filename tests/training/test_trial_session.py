"""A trial in training, killed and taken up again by another worker."""

from __future__ import annotations

import os

import pytest

from orchestrator.config import Duration
from orchestrator.records import best_score
from orchestrator.search import TrialSpec
from orchestrator.training import backend
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_session import TrialSession
from orchestrator.trials import Progress, judging, load_checkpoint
from orchestrator.trials.judging import Objective
from tests.depth import in_depth

SPEC = TrialSpec("00000", 0, 3, {"learning_rate": 0.05, "units": 4, "batch_size": 32})
STEPS = 5  # of an epoch


@pytest.fixture
def begin(mlp, tmp_path):
    """`begin(milestones)`: the trial in a new worker, which keeps its state after every epoch."""

    def session(*milestones):
        every = Duration(1, "epoch")
        objective = Objective("val_accuracy", "max", frozenset(milestones), tmp_path, every)
        return TrialSession(Trainer(mlp), SPEC, objective)

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


@pytest.fixture
def begin_long(mlp, tmp_path, monkeypatch):
    """`begin_long(every)`: a trial in a new worker, whose epochs last so long that every step is a report."""
    monkeypatch.setattr(backend, "CHUNK_SECONDS", 0.0)
    monkeypatch.setattr(judging, "AMID_SECONDS", 0.0)

    def begun(every):
        objective = Objective("val_accuracy", "max", frozenset(), tmp_path, every)
        return TrialSession(Trainer(mlp), SPEC, objective)

    return begun


def reports(trial):
    """Return the rows of each report to the end."""
    found, progress = [], Progress()
    while not progress.done:
        progress = Progress()
        trial.advance(progress, 0.0)
        found.append([(row["epoch"], row["metrics"]) for row in progress.rows])
    return found


def test_a_trial_returns_amid_an_epoch_with_nothing_to_tell(begin_long, mlp):
    told = reports(begin_long(Duration(1, "epoch")))
    assert [len(rows) for rows in told] == mlp.epochs * ([0] * (STEPS - 1) + [1])


@pytest.mark.parametrize("asked", in_depth([True, False], True))
def test_what_is_kept_amid_an_epoch_is_gone_on_from(begin_long, mlp, tmp_path, asked):
    whole = reports(begin_long(Duration(1, "epoch")))
    (tmp_path / "00000.last.npz").unlink()
    killed = begin_long(Duration(100, "epoch") if asked else Duration(STEPS + 2, "step"))
    for _ in range(STEPS + 3):
        killed.advance(Progress(), 0.0)
        if asked:
            killed.keep()
    assert reports(begin_long(Duration(100, "epoch"))) == whole[STEPS + (3 if asked else 2) :]


def test_a_state_asked_for_in_epochs_is_kept_between_epochs_alone(begin_long, tmp_path):
    trial = begin_long(Duration(1, "epoch"))
    for _ in range(2 * STEPS - 1):
        trial.advance(Progress(), 0.0)
    about = load_checkpoint(tmp_path / "00000.last.npz").about
    assert about["epoch"] == 1
    assert "within_epoch" not in about


def test_an_epochs_seconds_are_those_of_all_its_parts(begin_long, tmp_path):
    killed = begin_long(Duration(1, "step"))
    killed.advance(Progress(), 0.0)
    before = load_checkpoint(tmp_path / "00000.last.npz").about["within_epoch"]["seconds"]
    taken_up, progress = begin_long(Duration(100, "epoch")), Progress()
    while not progress.rows:
        taken_up.advance(progress, 0.0)
    assert progress.rows[0]["seconds"] > before > 0


def test_the_kept_state_is_of_the_epoch_that_the_records_call_best(mlp, tmp_path):
    figures = iter([(0.5, 0.3), (0.5, 0.1), (0.5, 0.2)])

    class Level(Trainer):
        def train_chunk(self):
            metrics = super().train_chunk()
            if metrics is None:
                return None
            value, loss = next(figures)
            return {**metrics, "val_accuracy": value, "val_loss": loss}

    objective = Objective("val_accuracy", "max", frozenset(), tmp_path, Duration(1, "epoch"))
    trial, progress = TrialSession(Level(mlp), SPEC, objective), Progress()
    trial.advance(progress, 1e9)
    best = best_score(progress.rows, "val_accuracy", "max")
    assert best.epoch == load_checkpoint(tmp_path / "00000.npz").about["epoch"] == 2


@pytest.mark.parametrize("links", [True, False])
def test_a_best_state_is_the_last_one_too_until_the_trial_trains_on(
    begin, tmp_path, monkeypatch, links
):
    def refused(*_):
        raise OSError("no links here")

    if not links:
        monkeypatch.setattr(os, "link", refused)
    trial = begin()
    best, last = tmp_path / "00000.npz", tmp_path / "00000.last.npz"
    rows = report(trial)
    for _ in range(2):  # the second time it is there already
        trial.keep()
        assert best.samefile(last) == links
        assert best.read_bytes() == last.read_bytes()
        assert sorted(tmp_path.iterdir()) == [last, best]
    assert report(begin())[:1] == rows
    trial.train(Progress())
    trial.keep()
    assert load_checkpoint(last).about["epoch"] == 2


def test_a_trial_that_may_pause_has_its_state_on_the_disk_where_that_is_its_best_one(mlp, tmp_path):
    figures = iter([0.3, 0.2, 0.4])

    class Set(Trainer):
        def train_chunk(self):
            metrics = super().train_chunk()
            return metrics and {**metrics, "val_accuracy": next(figures)}

    never = Duration(100, "epoch")
    trial = TrialSession(
        Set(mlp), SPEC, Objective("val_accuracy", "max", frozenset({1, 2}), tmp_path, never)
    )
    last, kept = tmp_path / "00000.last.npz", []
    for _ in range(mlp.epochs):
        progress = Progress()
        trial.advance(progress, 1e9)
        kept.append((progress.kept, load_checkpoint(last).about["epoch"]))
    assert kept == [(True, 1), (False, 1), (False, 1)]
    assert load_checkpoint(tmp_path / "00000.npz").about["epoch"] == 3
