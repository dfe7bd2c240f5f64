"""What people reported of other tools: refused where it is wrong, read as it was meant, and usable afterwards.

What trains is in the exam (``cases.py``), beside plain Keras.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest

from orchestrator.config import load_experiment
from orchestrator.errors import OrchestratorError
from orchestrator.experiment.prepared import prepare
from orchestrator.records import RunFolder
from orchestrator.training.final_evaluation import judge
from orchestrator.training.trainer import Trainer
from orchestrator.trials import save_checkpoint
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.parity.case import REPORTED
from tests.parity.ours import built_here
from tests.parity.plain import load


@pytest.fixture
def prepared(tmp_path):
    """`prepared(folder, experiment)`: the experiment, checked as `run` checks it before Ray starts."""

    def check(folder, experiment, *changes):
        place = shutil.copytree(REPORTED / folder, tmp_path, dirs_exist_ok=True)
        storage = f"storage_path={tmp_path}/runs"
        with built_here():
            return prepare(load_experiment(place / experiment, [storage, *changes]))

    return check


@pytest.fixture
def winner(prepared, tmp_path):
    """`winner(folder, experiment)`: the first trial trained, examined and saved; its scores and the file."""

    def train(folder, experiment, *changes):
        ready = prepared(folder, experiment, *changes)
        trainer = Trainer(ready.job(RunFolder(tmp_path / "runs")).task)
        spec = next(ready.plan.draws())
        trainer.begin(spec.hyperparameters, spec.seed)
        for _ in range(ready.plan.epochs):
            train_epoch(trainer)
        save_checkpoint(tmp_path / "kept.npz", trainer.checkpoint({"trial": spec.trial}))
        scores = judge(trainer, tmp_path / "kept.npz", tmp_path / "best")
        return ready, scores, tmp_path / "best" / "model.keras"

    return train


def said(call, *arguments):
    with pytest.raises(OrchestratorError) as refused:
        call(*arguments)
    return str(refused.value)


def test_hyperparameters_that_a_compiled_model_does_not_read_are_refused(prepared):
    sentence = said(prepared, "self-compiled-ignores", "lr.yaml")
    assert "nothing reads optimizer and label_smoothing" in sentence
    assert "compile" in sentence


def test_a_panda_s_learning_rate_is_a_compiled_model_s(prepared, tmp_path):
    ready = prepared("self-compiled-panda", "act.yaml", "metric=val_loss")
    trainer = Trainer(ready.job(RunFolder(tmp_path / "runs")).task)
    spec = next(ready.plan.draws())
    trainer.begin(spec.hyperparameters, spec.seed)
    train_epoch(trainer)
    assert float(trainer.backend.compiled.model.optimizer.learning_rate) == 5


def test_a_cross_entropy_is_minimised_where_no_direction_is_given(prepared):
    assert prepared("metric-direction", "crossentropy.yaml").plan.mode == "min"


def test_a_loss_is_minimised_where_no_direction_is_given(prepared):
    assert prepared("metric-direction", "loss.yaml").plan.mode == "min"


def test_the_smallest_accuracy_is_refused(prepared):
    assert "mode" in said(prepared, "metric-direction", "minacc.yaml")


def test_decimal_commas_are_read_as_points_are(prepared):
    comma = prepared("decimal-comma", "decimal_comma.yaml").trials.dataset
    point = prepared("decimal-comma", "decimal_point.yaml").trials.dataset
    assert comma.columns == point.columns == ("temperature", "pressure")
    np.testing.assert_array_equal(comma.train.x, point.train.x)


def test_an_endless_stream_says_so(tmp_path):
    place = shutil.copytree(REPORTED / "endless-generator", tmp_path, dirs_exist_ok=True)
    command = [sys.executable, "-m", "orchestrator", "preview", "forever.yaml"]
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert "steps_per_epoch" in ended.stderr


def test_a_sparse_matrix_is_read_or_its_way_out_is_named(prepared):
    try:
        ready = prepared("unsupported-inputs", "tfidf.yaml")
    except OrchestratorError as error:
        assert ".toarray()" in str(error)
    else:
        assert ready.trials.dataset.input_shape == (9,)


def test_two_inputs_for_a_model_of_one_are_refused_in_words(prepared):
    sentence = said(prepared, "unsupported-inputs", "two_inputs.yaml")
    assert "input" in sentence
    assert "inhomogeneous" not in sentence


def test_a_builder_of_keras_tuner_is_refused_before_the_start_or_tried(prepared):
    for experiment in ("kt.yaml", "kt3.yaml"):
        try:
            prepared("kerastuner-builder", experiment)
        except OrchestratorError as error:
            assert "hp" in str(error)
        else:
            pytest.fail(f"{experiment}: its trials would fail one by one")


def test_the_saved_winner_gives_its_scores_for_the_users_own_rows(winner, tmp_path):
    _, scores, file = winner("exported-winner", "digits.yaml")
    x, y = load(tmp_path / "load.py", "load.py:load")()
    found = keras.saving.load_model(file).predict(x.astype("float32"), verbose=0).argmax(1)
    assert (found == y).mean() == pytest.approx(0.97, abs=0.05)
    assert scores["test"]["accuracy"] > 0.9


def test_word_numbers_reach_the_embedding_as_they_are(winner):
    _, scores, _ = winner("token-ids", "words.yaml")
    assert scores["test"]["accuracy"] > 0.9


def test_bytes_reach_a_model_that_scales_them_itself(winner):
    _, scores, _ = winner("uint8-rescaling", "images.yaml")
    assert scores["test"]["accuracy"] > 0.9


def test_whole_numbers_are_a_target_in_their_own_unit(winner):
    _, scores, _ = winner("regression-target", "minutes.yaml")
    assert 2 < scores["validation"]["mae"] < 5


def test_the_weights_of_a_model_that_cannot_be_saved_are_there(winner):
    for experiment in ("subclass.yaml", "lambda_net.yaml"):
        _, scores, file = winner("winner-loads-again", experiment)
        again = [kept for kept in file.parent.glob("*") if kept.name.startswith("model")]
        assert again, scores
