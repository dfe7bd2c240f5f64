"""With folds every trial has the first one, and the replicates of finalists the others in turn."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.errors import ExperimentFileError
from orchestrator.experiment import audit, resume, run
from orchestrator.experiment.compatibility import recorded_experiment
from orchestrator.experiment.prepared import prepare_again
from orchestrator.records import read_run
from orchestrator.report.race_text import judged_score, race_lines
from orchestrator.training.task import TrainingTask
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.experiment.inline import InlineTuner

FOLDS = 3


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """An experiment whose two finalists have four replicates each, if the race does not end before."""
    place = tmp_path_factory.mktemp("folds")
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    np.savez(place / "rows.npz", x=rng.normal(size=(120, 4)) + y[:, None] / 2, y=y)

    def of(name, **keys):
        return {
            "name": name, "model": "mlp", "epochs": 2, "seed": 4,
            "data": {"source": str(place / "rows.npz"), "folds": FOLDS},
            "search_space": {"learning_rate": "loguniform(0.001, 0.3)", "units": 8},
            "storage_path": str(place / "runs"),
            "caviar": {
                "num_samples": 3, "scheduler": "none",
                "finalists": {"top": 2, "seeds": 4, "budget": 9, "confidence": 0.999},
            },
        } | keys  # fmt: skip

    return of


@pytest.fixture(scope="module")
def raced(asked):
    return run(asked("raced"), progress=False, executor="inline")


def curve(records, trial):
    return [row["metrics"] for row in records.of(trial).epochs]


def test_a_replicate_is_trained_on_the_fold_of_its_number(raced):
    records = raced.records
    prepared = prepare_again(recorded_experiment(records))
    trials = prepared.trials
    assert {trial.replicate for trial in records.replicates} >= {1, 2}
    for trial in (*records.trials[:1], *records.replicates[:4]):
        fold = 1 + (trial.replicate or 0) % FOLDS
        dataset = trials.dataset.fold(fold)
        trainer = Trainer(
            TrainingTask(trials.model, dataset, prepared.plan.epochs, task=trials.task)
        )
        trainer.begin(trial.hyperparameters, trial.seed)
        again = [train_epoch(trainer) for _ in curve(records, trial.trial)]
        assert again == curve(records, trial.trial), (trial.trial, fold)
        trainer.leave()


def test_pairs_of_replicates_share_seed_and_fold_and_the_record_says_how_many_folds(raced):
    records = raced.records
    seeds = {}
    for trial in records.replicates:
        seeds.setdefault(trial.replicate, set()).add(trial.seed)
    assert {len(own) for own in seeds.values()} == {1}
    assert records.state.race["folds"] == records.manifest["data"]["division"]["folds"] == FOLDS


def test_the_winners_model_is_that_of_the_first_fold(raced):
    records = raced.records
    assert records.winner["trial"] == records.state.race_result["winner"]
    assert records.leader.repeats is None
    found = records.of(records.leader.trial).best
    assert found.value == pytest.approx(raced.best.value)


def test_the_summary_judges_the_winner_at_epochs_that_other_folds_choose(raced):
    records = raced.records
    winner = records.state.race_result["winner"]
    curves = [
        [row["val_accuracy"] for row in curve(records, each.trial)]
        for each in records.state.replicates_of(winner)
    ]
    means = [np.delete(curves, at, axis=0).mean(axis=0) for at in range(len(curves))]
    scores = [own[int(others.argmax())] for own, others in zip(curves, means, strict=True)]
    assert judged_score(records, winner) == pytest.approx(np.mean(scores))
    assert "(rows of the other folds)" in " ".join(race_lines(records, 999))


def test_replicates_are_audited_on_their_folds(raced):
    found = audit(raced, 1.0)
    assert (found.verdict, found.compared) == ("true", len(raced.records.epochs))


def test_a_race_over_folds_that_was_cut_off_goes_on_to_the_same_numbers(raced, asked):
    tuner = InlineTuner()
    tuner.most = 3 * 2 + 3  # all trials, and the first replicate and a half
    run(asked("cut"), progress=False, executor=tuner)
    ended = resume(
        read_run(raced.path.parent / "cut").folder.path, progress=False, executor="inline"
    )
    names = {trial.trial for trial in raced.records.all_trials}
    assert {trial.trial for trial in ended.records.all_trials} == names
    for name in names:
        assert curve(ended.records, name) == curve(raced.records, name)
    assert ended.records.state.race_result["order"] == raced.records.state.race_result["order"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"caviar": {"num_samples": 3, "finalists": False}},
            "expected none beside caviar.finalists",
        ),
        ({"strategy": "panda", "panda": {"start": {}, "days": 1}}, "none for strategy panda"),
    ],
)
def test_folds_without_finalists_are_refused(asked, keys, message):
    with pytest.raises(ExperimentFileError, match=message):
        run(asked("refused", **keys), progress=False, executor="inline")
