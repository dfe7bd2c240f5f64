"""scikit-learn estimators and pipelines are fitted on the experiment's data: by epochs, or at once."""

from __future__ import annotations

import json

import joblib
import numpy as np
import pytest
from sklearn.datasets import load_diabetes
from sklearn.linear_model import SGDClassifier

from orchestrator.catalog import find_data
from orchestrator.config.data_options import DataOptions
from orchestrator.data import load_dataset
from orchestrator.errors import OrchestratorError
from orchestrator.experiment import run

PIPES = """
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

def make(hp):
    return make_pipeline(StandardScaler(), SGDClassifier(alpha=hp["alpha"], loss="log_loss"))

def bare(hp):
    return SGDClassifier(alpha=hp["alpha"], random_state=7)

def forest(hp):
    return RandomForestClassifier(n_estimators=12, max_depth=hp["depth"], warm_start=True)

def neighbours(hp):
    return KNeighborsClassifier(hp["k"])

def boosted(hp):
    return GradientBoostingRegressor(n_estimators=20, max_depth=hp["depth"], warm_start=True)

def unsure(hp):
    return LinearSVC(C=hp["alpha"])

def number(hp):
    return 3
"""
QUIETLY = {"executor": "inline", "progress": False}
ALPHA, DEPTH = {"alpha": "loguniform(1e-5, 1e-2)"}, {"depth": "integer(2, 6)"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipe.py").write_text(PIPES)
    x, y = load_diabetes(return_X_y=True)
    np.savez(tmp_path / "diabetes.npz", x=x, y=y)
    return tmp_path


def keys(name, space, **changes):
    return {
        "name": "sk", "trial": {"sklearn": f"./pipe.py:{name}"}, "data": "digits", "epochs": 3, "search_space": space,
        "caviar": {"num_samples": 3, "finalists": False, "scheduler": "none"}, **changes,
    }  # fmt: skip


def rows_of(done, trial):
    return [row["metrics"] for row in done.records.epochs if row["trial"] == trial]


def test_a_partial_fit_an_epoch_is_that_of_scikit_learn_itself(here):
    done = run(keys("bare", ALPHA), **QUIETLY)
    data = load_dataset(find_data("digits", here), DataOptions(source="digits").for_model(False), 0)
    x, y = data.train.x.reshape(data.train.rows, -1), data.train.y
    trial = done.records.trials[0]
    model = SGDClassifier(alpha=trial.hyperparameters["alpha"], random_state=7)
    seed = next(
        t["seed"] for t in map(json.loads, (done.path / "trials.jsonl").open()) if "seed" in t
    )
    for epoch, told in enumerate(rows_of(done, trial.trial)):
        order = np.random.default_rng([seed, epoch]).permutation(len(y))
        model.partial_fit(x[order], y[order], classes=np.arange(10))
        score = model.score(data.validation.x.reshape(data.validation.rows, -1), data.validation.y)
        assert told == {"val_accuracy": score}
    assert len(rows_of(done, trial.trial)) == 3


def test_a_pipeline_is_ranked_tested_and_saved_where_that_is_asked_for(here):
    made = keys("make", ALPHA, metrics=["macro_f1"])
    done = run({**made, "trial": {**made["trial"], "save": True}}, **QUIETLY)
    assert set(rows_of(done, done.best.trial)[0]) == {"val_accuracy", "val_loss", "val_macro_f1"}
    told = json.loads((done.path / "best" / "metrics.json").read_text())
    assert 0.8 < told["test"]["accuracy"] <= 1
    data = load_dataset(find_data("digits", here), DataOptions(source="digits").for_model(False), 0)
    saved = joblib.load(done.path / "best" / "checkpoint" / "estimator.joblib")
    assert (
        saved.score(data.test.x.reshape(data.test.rows, -1), data.test.y)
        == told["test"]["accuracy"]
    )


def test_a_warm_start_grows_its_trees_epoch_by_epoch(here):
    done = run(keys("forest", DEPTH), **QUIETLY)
    rows = rows_of(done, done.best.trial)
    assert len(rows) == 3 and rows[0]["val_loss"] > rows[2]["val_loss"]
    assert not list(done.path.rglob("*.joblib"))


def test_what_can_only_be_fitted_at_once_has_one_epoch(here):
    done = run(keys("neighbours", {"k": "integer(1, 9)"}), **QUIETLY)
    assert all(len(rows_of(done, trial.trial)) == 1 for trial in done.records.trials)
    assert done.best.value > 0.9


def test_a_regression_is_judged_by_its_mean_absolute_error(here):
    done = run(keys("boosted", DEPTH, data="./diabetes.npz", task="regression"), **QUIETLY)
    assert done.records.metric == "val_mae"
    assert set(rows_of(done, done.best.trial)[0]) == {"val_mae", "val_r2", "val_loss"}
    assert 30 < done.best.value < 70


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (keys("make", ALPHA, data=None), "data"),
        (keys("make", ALPHA, model="mlp"), "no such key beside trial"),
        (keys("make", ALPHA, data={"source": "digits", "class_weight": "balanced"}),
         r"data\.class_weight: expected no such key"),
        (keys("make", ALPHA, metric="val_mae"), "a metric of the validation rows"),
        (keys("make", {}), "search_space"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused(here, made, said):
    with pytest.raises(OrchestratorError, match=said):
        run(made, **QUIETLY)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (keys("number", ALPHA), "make(hp) to return a scikit-learn estimator or pipeline. Received: 'int'"),
        (keys("boosted", DEPTH), "expected an estimator of a classification"),
        (keys("unsure", ALPHA, metric="val_auc"), "expected an estimator with predict_proba"),
    ],
)  # fmt: skip
def test_what_fits_no_rows_is_its_trials_row(here, made, said):
    assert all(said in trial.error for trial in run(made, **QUIETLY).records.trials)
