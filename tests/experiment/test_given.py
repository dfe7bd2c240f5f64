"""Functions and data given in Python: what they become in the record, and what is refused at once."""

from __future__ import annotations

import functools
import pickle
from pathlib import Path

import numpy as np
import pytest

from orchestrator.config import Experiment
from orchestrator.errors import DataError, ExperimentFileError, PlaceError
from orchestrator.experiment.keywords import Keys, asked_for
from orchestrator.experiment.prepared import read_experiment

X, Y = np.arange(120, dtype="float32").reshape(40, 3), np.arange(40) % 2
SPACE = {"units": "choice([4, 8])"}


def build(hp, input_shape, num_classes):
    return hp["units"], input_shape, num_classes


def asked(experiment=None, overrides=(), **keys):
    return asked_for(experiment, overrides, {"search_space": SPACE, **keys})


def test_keywords_are_the_keys_of_the_file():
    assert set(Keys.__annotations__) == set(Experiment.model_fields)


def test_a_run_is_named_after_its_function():
    assert asked(model=build, data=(X, Y)).experiment.name == "build"
    assert asked(model=lambda hp, s, n: None, data=(X, Y)).experiment.name == "python"
    assert asked(model=build, data=(X, Y), name="mine").experiment.name == "mine"


def test_the_record_shows_what_was_given():
    experiment = asked(model=build, data=(X, Y), callbacks=lambda hp: []).experiment
    assert (experiment.model, experiment.callbacks) == ("<python: build>", "<python: lambda>")
    assert experiment.data.source == "<python: a tuple of ndarray, ndarray>"


def test_data_may_have_options_beside_its_source():
    found = asked(model=build, data={"source": (X, Y), "validation": 0.3})
    assert found.experiment.data.validation == 0.3
    assert found.given.data.given[0] is X


def test_keywords_go_over_a_file_and_overrides_over_both(tmp_path):
    file = tmp_path / "digits.yaml"
    file.write_text("model: mlp\ndata: digits\nsearch_space: mlp\nepochs: 3\nseed: 7\n")
    found = asked_for(file, ["epochs=5"], {"epochs": 4, "model": build}).experiment
    assert (found.name, found.model, found.epochs, found.seed) == (
        "digits",
        "<python: build>",
        5,
        7,
    )


def test_keywords_go_over_an_experiment():
    first = asked_for(None, (), {"model": "mlp", "data": "digits", "search_space": "mlp"})
    assert asked_for(first.experiment, (), {"epochs": 4}).experiment.epochs == 4


def test_paths_and_numbers_of_numpy_are_taken_as_in_a_file(tmp_path):
    found = asked(model=build, data=(X, Y), storage_path=tmp_path, epochs=np.int64(4)).experiment
    assert (found.storage_path, found.epochs) == (str(tmp_path), 4)


def test_an_unknown_keyword_is_refused_with_the_nearest():
    with pytest.raises(ExperimentFileError, match=r"epoch.*epochs"):
        asked(model=build, data=(X, Y), epoch=3)


@pytest.mark.parametrize(
    "function",
    [
        lambda hp, shape, classes: (hp["units"], classes),
        functools.partial(lambda extra, hp, shape, classes: (hp["units"], classes), 3),
        type("Net", (), {"__call__": lambda self, hp, shape, classes: (hp["units"], classes)})(),
    ],
)
def test_whatever_can_be_called_is_sent_as_bytes(function):
    sent = pickle.dumps(asked(model=function, data=(X, Y)).given.model)
    reference = pickle.loads(sent)  # noqa: S301 (our own)
    assert reference.load()({"units": 4}, (3,), 2) == (4, 2)


def test_each_load_has_variables_of_its_own():
    state = []

    def counting(hp, shape, classes):
        state.append(1)
        return len(state)

    reference = asked(model=counting, data=(X, Y)).given.model
    assert [reference.load(fresh=True)({}, (), 2) for _ in range(3)] == [1, 1, 1]
    assert state == []


def test_a_model_and_its_callbacks_share_what_they_refer_to():
    shared = {}

    def model(hp, shape, classes):
        shared["seen"] = hp["units"]

    given = asked(model=model, data=(X, Y), callbacks=lambda hp: shared["seen"]).given
    given.model.load(fresh=True)({"units": 8}, (), 2)
    assert given.callbacks.load()({}) == 8


class Model:
    __module__ = "keras.src.models.model"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"model": Model()}, "a function that builds a new model.*clone_model"),
        ({"model": 3}, "can be called with .*hp, input_shape, num_classes"),
        ({"model": lambda hp: None}, r"lambda\(hp, input_shape, num_classes\).*lambda\(hp\)"),
        ({"callbacks": [object()]}, r"callbacks=lambda hp: \[\.\.\.\]"),
        ({"data": lambda path: None}, r"lambda\(\).*lambda\(path\)"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_way_out(keys, said):
    with pytest.raises(ExperimentFileError, match=said):
        asked(**({"model": build, "data": (X, Y)} | keys))


def of_kerastuner(hp):
    return hp.Int("units", 4, 8)


def test_a_builder_for_another_tuner_is_refused_with_its_ranges():
    with pytest.raises(ExperimentFileError, match=r"KerasTuner.*units: integer\(4, 8\)"):
        asked(model=of_kerastuner, data=(X, Y))


def test_what_cannot_be_sent_is_named():
    lock = __import__("threading").Lock()
    with pytest.raises(ExperimentFileError, match=r"refers to lock, which cannot be sent"):
        asked(model=lambda hp, shape, classes: lock, data=(X, Y))


class Pipeline:
    element_spec = None

    def as_numpy_iterator(self):
        return iter(())


@pytest.mark.parametrize("data", [Pipeline(), (Pipeline(), Pipeline()), {"train": Pipeline()}])
def test_pipelines_are_asked_for_as_a_function(data):
    with pytest.raises(ExperimentFileError, match=r"def load\(\)"):
        asked(model=build, data=data)


def test_an_object_in_place_of_the_experiment_is_told_where_it_belongs():
    with pytest.raises(ExperimentFileError, match=r"model=\.\.\. before"):
        asked_for(build, (), {})


@pytest.mark.parametrize("key", ["model", "callbacks", "data"])
def test_a_file_cannot_have_a_mark(key, tmp_path):
    from orchestrator.experiment.prepared import prepare

    content = {"name": "one", "model": "mlp", "data": "digits", "search_space": "mlp"}
    content |= {"storage_path": str(tmp_path), key: "<python: thing>"}
    with pytest.raises(ExperimentFileError, match=f"^{key}: .*given in Python"):
        prepare(read_experiment(content))


def test_a_policy_set_in_this_process_alone_is_refused():
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(PlaceError, match="in the model's builder"):
            asked(model=build, data=(X, Y))
    finally:
        keras.config.set_dtype_policy("float32")


def loaded(data, **options):
    from orchestrator.data import load_dataset

    found = asked(model=build, data={"source": data, **options})
    return load_dataset(found.given.data, found.experiment.data.for_model(False), 0)


def frame():
    import pandas as pd

    return pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "kind": np.where(Y, "x", "y")})


PARTS = {"train": (X, Y), "validation": (X[:9], Y[:9]), "test": (X[:7], Y[:7])}


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        ((X, Y), (24, 8, 8)),
        ((X, Y, np.ones(40)), (24, 8, 8)),
        (((X, Y), (X[:7], Y[:7])), (32, 8, 7)),
        (PARTS, (40, 9, 7)),
        ({"x_train": X, "y_train": Y, "x_test": X[:7], "y_test": Y[:7]}, (32, 8, 7)),
        (lambda: (X, Y), (24, 8, 8)),
        (functools.partial(lambda array: (array, Y), X), (24, 8, 8)),
        ((X.tolist(), Y.tolist()), (24, 8, 8)),
        ((frame().drop(columns="kind"), frame()["kind"]), (24, 8, 8)),
    ],
)
def test_data_may_be_what_a_function_of_a_file_may_return(data, rows):
    dataset = loaded(data)
    assert (dataset.train.rows, dataset.validation.rows, dataset.test.rows) == rows


def test_a_frame_has_its_labels_in_a_column():
    assert loaded(frame(), label="kind").classes == ("x", "y")


def test_the_users_arrays_stay_as_they_are():
    before = X.copy()
    loaded((X, Y), scale="standard")
    assert np.array_equal(X, before)


def test_equal_data_have_one_fingerprint_however_they_are_given():
    one = loaded((X, Y)).fingerprint
    assert one == loaded(lambda: (X.copy(), Y)).fingerprint != loaded((X + 1, Y)).fingerprint


def test_data_of_no_known_form_are_refused():
    with pytest.raises(DataError, match="Received: set"):
        loaded({1, 2})


def test_a_path_is_a_file_as_in_an_experiment():
    assert asked(model=Path("net.py"), data="digits").experiment.model == "net.py"


@pytest.mark.parametrize("data", [{"table": "./t.csv"}, {"source_": "digits", "label": "y"}])
def test_options_of_data_without_a_source_are_no_arrays(data):
    with pytest.raises((ExperimentFileError, DataError)) as refused:
        asked(model=build, data=data)
    for key in data:
        assert f"data.{key}" in str(refused.value) or key == "label"
