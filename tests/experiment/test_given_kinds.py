"""Functions that are written for Optuna, KerasTuner or scikit-learn, given in Python under the key of their kind."""

from __future__ import annotations

import inspect
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.linear_model import SGDClassifier

import orchestrator
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.given import taken_out
from orchestrator.experiment.keywords import asked_for
from orchestrator.experiment.submission import make_submission

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = (X.sum(axis=1) > 0).astype(int)
QUIETLY = {"progress": False, "executor": "inline"}


def objective(trial):
    rate = trial.suggest_float("rate", 0.1, 0.9)
    for step in range(3):
        trial.report(rate * step, step)
    return rate * 3


def make(hp):
    return SGDClassifier(alpha=hp["alpha"])


def build_model(hp):
    import keras

    inputs = keras.Input((3,))
    hidden = keras.layers.Dense(hp.Choice("units", [4, 8]), activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))
    model.compile(hp.Choice("optimizer", ["adam", "sgd"]), "sparse_categorical_crossentropy")
    return model


class HyperModel:
    """As KerasTuner's, without its package."""

    def build(self, hp):
        return build_model(hp)

    def fit(self, hp, model, *args, **options):
        return model.fit(*args, **options)


@pytest.fixture
def studied(tmp_path):
    """The folder of a run of an objective."""
    return orchestrator.run(
        trial={"optuna": objective},
        metric="val_accuracy",
        epochs=3,
        caviar={"num_samples": 3, "scheduler": "none"},
        storage_path=tmp_path,
        **QUIETLY,
    ).path


def test_an_objective_brings_its_space_and_is_extended_with_itself(studied):
    longer = orchestrator.extend(studied, num_samples="+2", trial={"optuna": objective}, **QUIETLY)
    table = longer.table()
    assert len(table) == 5
    assert np.allclose(table["best_val_accuracy"], table["rate"] * 3)
    assert orchestrator.audit(studied, 1.0, trial={"optuna": objective}).verdict == "true"


def test_it_is_asked_for_again_under_its_key(studied):
    with pytest.raises(ExperimentFileError, match=r"resume\(.*, trial=\{'optuna': \.\.\.\}\)"):
        orchestrator.extend(studied, num_samples="+2")
    with pytest.raises(ExperimentFileError, match=r"trial=\{'optuna': \.\.\.\}, as the run began"):
        orchestrator.extend(studied, num_samples="+2", trial={"sklearn": make}, **QUIETLY)


def test_the_record_of_it_is_refused_where_only_a_file_can_be_read(studied):
    file = studied / "experiment.yaml"
    assert yaml.safe_load(file.read_text())["trial"] == {"optuna": "<python: objective>"}
    with pytest.raises(ExperimentFileError, match=r"trial: .*given in Python"):
        orchestrator.run(file, ["name=other"])
    with pytest.raises(ExperimentFileError, match=r"trial: .*given in Python"):
        make_submission(file, ["name=other"], "local")


def test_an_estimator_learns_from_arrays_and_is_named_after_its_function(tmp_path):
    run = orchestrator.run(
        trial={"sklearn": make, "save": True},
        data=(X, Y),
        search_space={"alpha": "loguniform(1e-6, 1e-2)"},
        caviar={"num_samples": 2},
        storage_path=tmp_path,
        **QUIETLY,
    )
    assert (run.name, run.status, run.best.metric) == ("make", "finished", "val_accuracy")
    assert (run.path / "best/checkpoint/estimator.joblib").is_file()


@pytest.mark.parametrize("given", [build_model, HyperModel, HyperModel()])
def test_a_builder_of_kerastuner_is_kept_with_its_kind(given):
    keys = {"trial": {"keras_tuner": given}, "data": (X, Y)}
    found = asked_for(None, (), keys)
    assert found.experiment.kind == "keras_tuner"
    assert found.given.builder.load()({"units": 4, "optimizer": "sgd"}).count_params() == 26


@pytest.mark.parametrize(
    ("trial", "said"),
    [
        (objective, r"trial=\{'optuna': objective\}"),
        ({"optuna": lambda: 3}, r"lambda\(trial\).*lambda\(\)"),
        ({"optuna": 3}, r"trial\.optuna: expected a function"),
        ({"keras_tuner": 3}, "or give a HyperModel"),
        ({"keras_tuner": type("Net", (HyperModel,), {"__init__": lambda self, a: None})}, "Net"),
        ({"sklearn": make, "optuna": objective}, "one of the keys.*sklearn, optuna"),
        ({"command": make}, r"trial\.command: expected a text"),
    ],
)
def test_what_cannot_be_one_is_refused_with_the_way_out(trial, said):
    with pytest.raises(ExperimentFileError, match=said):
        asked_for(None, (), {"trial": trial, "metric": "val_loss"})


def test_a_name_of_a_file_stays_a_name():
    keys = {"trial": {"optuna": "./objective.py"}, "metric": "loss"}
    assert taken_out(keys) == (keys, taken_out({})[1])


def test_another_interpreter_cannot_be_given_a_function(tmp_path):
    trial = {"function": lambda hp, report: None, "python": str(Path(inspect.__file__))}
    with pytest.raises(orchestrator.OrchestratorError):
        orchestrator.preview(trial=trial, metric="loss", search_space={"rate": 1})


def test_completion_offers_the_keys_of_an_experiment():
    for function in (orchestrator.run, orchestrator.preview):
        names = inspect.signature(function).parameters
        assert {"overrides", "model", "epochs", "trial", "search_space"} <= names.keys()


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: orchestrator.run(overides=[]), "overrides"),
        (lambda: orchestrator.run(progres=False), "progress"),
        (lambda: orchestrator.preview(modle="mlp"), "model"),
    ],
)
def test_a_keyword_that_is_none_is_refused_with_the_one_meant(call, meant):
    with pytest.raises(ExperimentFileError, match=f"Did you mean '{meant}'"):
        call()


def test_resume_takes_no_key_that_would_change_the_run(studied):
    with pytest.raises(ExperimentFileError, match=r"epochs=.*extend makes a run longer"):
        orchestrator.resume(studied, epochs=9)


def test_what_a_run_gives_says_what_it_is(studied):
    run = orchestrator.open_run(studied)
    assert repr(run).startswith("Run objective: finished, 3 trials\n  Best: trial ")
    assert "val_accuracy" in repr(run.best) and "hyperparameters: rate 0." in repr(run.best)
    assert repr(run.records.trials[0]).startswith("Trial 00000: finished after ")
    experiment = orchestrator.Experiment(model="mlp", data="digits", name="one", search_space="mlp")
    assert str(experiment).startswith("Experiment one: mlp on digits; caviar, 64 trials of 27")


def test_a_damaged_run_says_so_in_place_of_raising(studied):
    run = orchestrator.open_run(studied)
    (studied / "manifest.json").write_text("{")
    assert repr(run.reload()).startswith(f"Run in {studied}: ")
