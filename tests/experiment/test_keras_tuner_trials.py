"""KerasTuner's builders run as they stand: their space is found, and their trials are those of the same Keras model."""

from __future__ import annotations

import contextlib
import shutil

import pytest

from orchestrator.errors import OrchestratorError
from orchestrator.experiment import preview, resume, run

HYPERMODEL = """
import keras
import keras_tuner

def build_model(hp):
    assert isinstance(hp, keras_tuner.HyperParameters)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    for layer in range(hp.Int("layers", 1, 2)):
        with hp.name_scope(f"layer_{layer}"):
            model.add(keras.layers.Dense(hp.Choice("units", [8, 16]), activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    optimizer = hp.Choice("optimizer", ["sgd", "adam"])
    with hp.conditional_scope("optimizer", ["sgd"]):
        momentum = hp.Float("momentum", 0.0, 0.9, step=0.1)
    rate = hp.Float("learning_rate", 1e-3, 1e-1, sampling="log")
    chosen = keras.optimizers.SGD(rate, momentum) if optimizer == "sgd" else keras.optimizers.Adam(rate)
    model.compile(chosen, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model

class Wide(keras_tuner.HyperModel):
    def __init__(self, units=32):
        super().__init__()
        self.units = units

    def build(self, hp):
        model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(),
                                  keras.layers.Dense(self.units, activation="relu")])
        model.add(keras.layers.Dense(10, activation="softmax"))
        model.compile(keras.optimizers.SGD(hp.Float("rate", 0.01, 0.1)), "sparse_categorical_crossentropy",
                      metrics=["accuracy"])
        return model

    def fit(self, hp, model, *args, **kwargs):
        return model.fit(*args, batch_size=hp.Choice("batch_size", [32, 64]), shuffle=hp.Boolean("shuffle"), **kwargs)

narrow = Wide(units=4)

class Looped(Wide):
    def fit(self, hp, model, x, y, validation_data, callbacks=None, **kwargs):
        for callback in callbacks:
            callback.set_model(model)
        for epoch in range(2):
            model.train_on_batch(x[:64], y[:64])
            for callback in callbacks:
                callback.on_epoch_end(epoch, logs={"mine": 0.5 + epoch})
"""
PLAIN = """
import keras

def build(hp, input_shape, num_classes):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    for layer in range(hp["layers"]):
        model.add(keras.layers.Dense(hp[f"layer_{layer}_units"], activation="relu"))
    model.add(keras.layers.Dense(10, activation="softmax"))
    rate = hp["learning_rate"]
    sgd = hp["optimizer"] == "sgd"
    chosen = keras.optimizers.SGD(rate, hp["momentum"]) if sgd else keras.optimizers.Adam(rate)
    model.compile(chosen, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""
QUIETLY = {"executor": "inline", "progress": False}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tuned.py").write_text(HYPERMODEL)
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


def keys(name="build_model", **changes):
    return {
        "name": "kt", "trial": {"keras_tuner": f"./tuned.py:{name}"}, "data": "digits", "epochs": 2,
        "caviar": {"num_samples": 2, "finalists": False, "scheduler": "none"}, **changes,
    }  # fmt: skip


def curves(run):
    return [(row["trial"], row["epoch"], row["metrics"]) for row in run.records.epochs]


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A finished run of the builder, which is left as it is."""
    place = tmp_path_factory.mktemp("tuned")
    (place / "tuned.py").write_text(HYPERMODEL)
    with contextlib.chdir(place):
        return run(keys(), **QUIETLY)


def test_a_builder_trains_as_the_same_model_of_plain_keras_does(here, tuned):
    assert tuned.records.experiment["search_space"] == {
        "layers": "integer(1, 2, hard=true)",
        "layer_0_units": "choice([8, 16])",
        "optimizer": "choice([sgd, adam])",
        "momentum": {"when": {"optimizer": "sgd"}, "domain": "uniform(0, 0.9, step=0.1, hard=true)"},
        "learning_rate": "loguniform(1e-3, 0.1, hard=true)",
        "layer_1_units": {"when": {"layers": 2}, "domain": "choice([8, 16])"},
    }  # fmt: skip
    space = tuned.records.experiment["search_space"]
    plain = {key: value for key, value in keys(name="plain").items() if key != "trial"}
    same = run(
        {**plain, "name": "plain", "model": "./plain.py:build", "search_space": space}, **QUIETLY
    )
    assert curves(tuned) == curves(same)
    assert {trial.path for trial in tuned.records.trials} == {"compiled"}
    assert tuned.load_model().count_params() == same.load_model().count_params()


def test_a_hypermodel_trains_by_its_own_fit(here):
    done = run(keys("Wide"), **QUIETLY)
    assert done.records.experiment["search_space"] == {
        "rate": "uniform(0.01, 0.1, hard=true)", "batch_size": "choice([32, 64])", "shuffle": "choice([false, true])",
    }  # fmt: skip
    assert [trial.status for trial in done.records.trials] == ["finished"] * 2
    assert "fit()" in done.records.trials[0].path_reason
    assert type(done.load_model()).__name__ == "Sequential"


def test_a_hypermodel_that_was_made_already_is_built_as_it_is(here):
    assert list(preview(keys("narrow")).space.domains) == ["rate", "batch_size", "shuffle"]


def test_a_run_that_was_cut_off_goes_on_and_its_winner_is_saved(here, tuned):
    whole, size = sorted(map(str, curves(tuned))), tuned.load_model().count_params()
    cut = shutil.copytree(tuned.path, here / "runs" / "kt")
    for name, lines in (("epochs.jsonl", 3), ("trials.jsonl", 3), ("events.jsonl", 1)):
        file = cut / name
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:lines]))
    again = resume(cut, **QUIETLY)
    assert sorted(map(str, curves(again))) == whole
    assert again.load_model().count_params() == size


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"data": None}, "data"),
        ({"model": "mlp"}, "no such key beside trial"),
        ({"search_space": {"learning_rate": "loguniform(1e-3, 1)"}}, "a part of the range"),
        ({"search_space": {"depth": 4}}, "expected a hyperparameter that it asks for"),
        ({"metric": "val_auc2"}, "a metric that the model reports"),
    ],
)
def test_what_cannot_be_run_is_refused(here, changes, said):
    with pytest.raises(OrchestratorError, match=said):
        run(keys(**changes), **QUIETLY)


def test_what_training_reads_beside_the_builder_may_be_searched_too(here):
    found = preview(keys(search_space={"batch_size": "choice([16, 32])", "layers": 1}))
    assert found.space.to_document()["batch_size"] == "choice([16, 32])"
    assert "layer_1_units" not in found.space.domains


def test_a_loop_of_its_own_that_calls_callbacks_at_the_end_of_each_epoch_has_each_recorded(here):
    done = run(keys("Looped"), **QUIETLY)
    assert [(t.status, len(done.records.of(t.trial).epochs)) for t in done.records.trials] == [
        ("finished", 2),
        ("finished", 2),
    ]
    told = [(epoch, metrics["mine"]) for _, epoch, metrics in curves(done)]
    assert sorted(told) == [(1, 0.5), (1, 0.5), (2, 1.5), (2, 1.5)]
    assert all("loss" not in metrics for *_, metrics in curves(done))
