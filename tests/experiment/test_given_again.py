"""A run that was given objects goes on with the same ones, and says what it lacks or what differs."""

from __future__ import annotations

import numpy as np
import pytest
import yaml

import orchestrator
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.given import given_objects
from orchestrator.experiment.resume import prepare_to_resume
from orchestrator.records import RunFolder
from tests.experiment.inline import InlineTuner

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = (X.sum(axis=1) > 0).astype(int)


def builder(activation="relu"):
    def build(hp, input_shape, num_classes):
        import keras

        inputs = keras.Input(input_shape)
        x = keras.layers.Dense(hp["units"], activation=activation)(inputs)
        return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))

    return build


@pytest.fixture(scope="module")
def cut_off(tmp_path_factory):
    """The folder of a run of three trials that ended after its second report."""
    place = tmp_path_factory.mktemp("given")
    tuner = InlineTuner()
    tuner.most = 2
    run = orchestrator.run(
        model=builder(),
        data=(X, Y),
        search_space={"units": "choice([4, 8, 12, 16])"},
        epochs=2,
        caviar={"num_samples": 3, "scheduler": "none"},
        storage_path=place,
        progress=False,
        executor=tuner,
    )
    assert run.status == "interrupted"
    return RunFolder(run.path)


FILE = """
import keras

def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(hp["units"], activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))
"""


def test_a_function_trains_to_the_numbers_of_its_file(tmp_path, monkeypatch):
    (tmp_path / "net.py").write_text(FILE)
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    monkeypatch.chdir(tmp_path)
    keys = {
        "search_space": {"units": "choice([4, 8])"},
        "epochs": 2,
        "progress": False,
        "executor": "inline",
    }
    keys |= {"caviar": {"num_samples": 2, "scheduler": "none"}}
    given = orchestrator.run(model=builder(), data=(X, Y), **keys)
    named = orchestrator.run(model="./net.py", data="./data.npz", name="named", **keys)
    columns = ["trial", "epoch", "loss", "val_loss", "val_accuracy"]
    assert given.epochs()[columns].equals(named.epochs()[columns])
    assert len(given.epochs()) == 4


def test_the_record_holds_marks_fingerprints_and_what_is_read(cut_off):
    content = yaml.safe_load(cut_off.experiment_file.read_text())
    assert content["model"] == "<python: build>"
    assert content["data"]["source"] == "<python: a tuple of ndarray, ndarray>"
    model = orchestrator.open_run(cut_off.path).records.manifest["model"]
    assert model["reads"] == ["units"]
    assert len(model["fingerprint"]) == 64 and "activation" in model["files"]


def test_running_the_recorded_file_says_what_it_cannot_have(cut_off):
    with pytest.raises(ExperimentFileError, match=r"^model: .*given in Python"):
        orchestrator.run(cut_off.experiment_file, ["name=other"])


def test_resume_without_them_says_in_one_sentence_what_it_needs(cut_off):
    said = r"model <python: build> and data .* again.*orchestrator\.resume\(.*model=\.\.\., data=\.\.\."
    with pytest.raises(ExperimentFileError, match=said):
        orchestrator.resume(cut_off.path)
    with pytest.raises(ExperimentFileError, match="expected data <python"):
        orchestrator.resume(cut_off.path, model=builder())
    with pytest.raises(ExperimentFileError, match=said):
        orchestrator.extend(cut_off.path, num_samples="+1")


def test_an_object_that_the_run_was_not_given_is_refused(cut_off):
    with pytest.raises(ExperimentFileError, match="callbacks: expected no object"):
        orchestrator.resume(cut_off.path, model=builder(), data=(X, Y), callbacks=lambda hp: [])


def test_what_differs_is_said(cut_off):
    given = given_objects(model=builder("tanh"), data=(X + 1, Y))
    with pytest.raises(ExperimentFileError, match=r"changed: activation.*") as raised:
        prepare_to_resume(cut_off, given)
    assert "data (fingerprint)" in str(raised.value)


def test_with_the_same_ones_it_goes_on_to_its_model_and_is_extended(cut_off):
    run = orchestrator.resume(
        cut_off.path, model=builder(), data=(X, Y), progress=False, executor="inline"
    )
    assert (run.status, len(run.table())) == ("finished", 3)
    answers = run.load_model().predict(X, verbose=0)
    accuracy = (answers.argmax(axis=1) == Y).mean()
    assert answers.shape == (60, 2) and accuracy > 0
    assert orchestrator.resume(cut_off.path).status == "finished"
    longer = orchestrator.extend(
        run,
        num_samples="+1",
        model=builder(),
        data=lambda: (X, Y),
        progress=False,
        executor="inline",
    )
    assert len(longer.table()) == 4
