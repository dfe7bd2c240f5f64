"""A winner leaves in the format that a file's ending asks for, and only if it answers there as it does here."""

from __future__ import annotations

import importlib.util
import json
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest

from orchestrator.errors import PlaceError, RecordError
from orchestrator.experiment import run
from orchestrator.experiment.data_profile import rows_to_ask
from orchestrator.experiment.winner import form_of
from orchestrator.training.exporting import FORMATS, File, Format, distance

RESTLESS = """
import keras

class Restless(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x):
        return x + keras.random.normal(keras.ops.shape(x), seed=self.seed)

def build(hp, input_shape, num_classes):
    dense = keras.layers.Dense(num_classes)
    return keras.Sequential([keras.Input(input_shape), dense, Restless(), keras.layers.Softmax()])
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


def trained(place, name, data, **keys):
    space = {"learning_rate": "choice([0.05])", "batch_size": "choice([16])"}
    asked = {
        "name": name, "model": "mlp", "data": data, "epochs": 2, "search_space": space | {"units": 4},
        "caviar": {"num_samples": 1, "scheduler": "none"}, "storage_path": str(place / "runs"),
    }  # fmt: skip
    return run(asked | keys, progress=False, executor="inline")


@pytest.fixture(scope="module")
def table(place):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 3, 120)
    frame = pd.DataFrame({"len/mm": rng.normal(100, 10, 120) + 30 * codes})
    frame["rock kind"] = np.array(["slate", "chalk", "basalt"])[codes]
    frame["site"] = np.array(["north", "south", "east"])[codes]
    frame.loc[::9, "len/mm"] = np.nan
    frame.to_csv(place / "t.csv", index=False)
    data = {"source": str(place / "t.csv"), "label": "site", "missing": "median"}
    return trained(place, "table", data)


def asked_elsewhere(format, to, rows):
    """What a file answers to someone who has it and its metadata alone."""
    from orchestrator.training.export_formats import ask

    told = metadata(format, to)
    given = {}
    for one in told["inputs"]:
        values = rows[one["column"]].to_numpy()
        if "vocabulary" in one:
            values = [
                one["vocabulary"].index(text) + 1 if text in one["vocabulary"] else 0
                for text in values
            ]
        dtype = object if one["dtype"] == "string" else one["dtype"]
        given[one["name"]] = np.array(values, dtype)[:, None]
    (answers,) = ask(format, to, given)
    return [told["class_names"][at] for at in answers.argmax(axis=1)], answers


def metadata(format, to):
    if format == "saved_model":
        return json.loads((to / "assets.extra/metadata.json").read_text())
    if format == "tflite":
        return json.loads(zipfile.ZipFile(to).read("metadata.json"))
    if format == "onnx":
        import onnx

        return json.loads(onnx.load(to).metadata_props[0].value)
    import torch

    files = {"metadata.json": ""}
    torch.export.load(to, extra_files=files)
    return json.loads(files["metadata.json"])


@pytest.mark.parametrize(
    ("format", "name"),
    [("saved_model", "there/"), ("tflite", "it.tflite"), ("onnx", "it.onnx"), ("pt2", "it.pt2")],
)
def test_a_table_is_asked_elsewhere_by_its_file_and_metadata_alone(table, tmp_path, format, name):
    absent = [each for each in FORMATS[format].packages if importlib.util.find_spec(each) is None]
    if absent:
        pytest.skip(
            f"{', '.join(absent)} is not installed: pip install 'orchestrator[{FORMATS[format].extra}]'"
        )
    if not FORMATS[format].is_written:
        with pytest.raises(PlaceError, match="or newer, which writes"):
            table.export(f"{tmp_path}/{name}")
        return
    done = table.export(f"{tmp_path}/{name}")
    assert "on 100 rows" in done.lines[-1]
    assert list(tmp_path.iterdir()) == [done.path]
    rows = pd.DataFrame({"len/mm": [100.0, np.nan, 160], "rock kind": ["slate", "chalk", "peat"]})
    classes, answers = asked_elsewhere(format, done.path, rows)
    here = table.predict(rows)
    assert classes == here["class"].tolist()
    np.testing.assert_allclose(answers, here.iloc[:, 1:].to_numpy(), atol=1e-5)


def test_a_calibrated_file_answers_with_the_temperature(table, tmp_path):
    found = table.records.winner["calibration"].get("temperature")
    if found is None:
        with pytest.raises(RecordError, match="expected a temperature"):
            table.export(tmp_path / "it.keras", calibrated=True)
        return
    done = table.export(tmp_path / "it.keras", calibrated=True)
    assert json.loads(zipfile.ZipFile(done.path).read("metadata.json"))["temperature"] == found


def test_a_model_that_never_answers_twice_alike_is_refused_and_leaves_nothing(place, tmp_path):
    (place / "net.py").write_text(RESTLESS)
    x = np.random.default_rng(0).normal(size=(60, 3))
    np.savez(place / "x.npz", x=x, y=(x[:, 0] > 0).astype(int))
    space = {"learning_rate": "choice([0.05])", "batch_size": "choice([16])"}
    restless = trained(
        place, "restless", str(place / "x.npz"), model=str(place / "net.py"), search_space=space
    )
    with pytest.raises(
        RecordError, match=r"answers as the run's model does. Received: one that is off by \d"
    ):
        restless.export(f"{tmp_path}/it/")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("to", "message"),
    [
        ("it.h5", r"ending in .keras, .tflite, .onnx, .pt2 or .weights.h5, or a folder"),
        ("it.weights.h5", "Keras could save the winner as a whole"),
        ("nowhere/it.keras", "expected a folder that exists"),
        ("there.keras", "--force overwrites it"),
        ("folder/", "which holds other files"),
    ],
)
def test_where_nothing_can_be_written_is_said_before_anything_starts(table, tmp_path, to, message):
    (tmp_path / "there.keras").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    force = to == "folder/"
    with pytest.raises(PlaceError, match=message):
        table.export(f"{tmp_path}/{to}", overwrite=force)
    assert (tmp_path / "there.keras").read_text() == "mine"
    assert (tmp_path / "folder" / "mine.txt").exists()


def test_a_missing_package_is_one_sentence_with_what_to_install():
    lacking = Format(".onnx", "an ONNX file", None, ("numpy", "no_such_package"), "onnx")
    with pytest.raises(
        PlaceError, match=r"without no_such_package. Install it: pip install 'orchestrator\[onnx\]'"
    ):
        lacking.check_installed("export")


def test_the_rows_of_the_check_have_gaps_and_texts_that_training_had_not(table):
    rows = rows_to_ask(table.records, form_of(table.records), 100)
    assert {name: len(values) for name, values in rows.items()} == {"len/mm": 100, "rock kind": 100}
    assert 0 < np.isnan(rows["len/mm"]).sum() < 50
    assert 0 < sum(text not in ("slate", "chalk", "basalt") for text in rows["rock kind"]) < 50


@pytest.mark.parametrize(
    ("found", "expected", "probabilities", "off"),
    [
        ([[0.5, 0.5]], [[0.5, 0.5]], True, 0.0),
        ([[0.4, 0.6]], [[0.5, 0.5]], True, 0.1),
        (
            [[2000.5], [2010.0]],
            [[2000.0], [2010.0]],
            False,
            0.1,
        ),  # years: by their spread, not their size
        ([[1e-9], [3e-9]], [[2e-9], [4e-9]], False, 1.0),
        ([[np.nan]], [[0.5]], True, np.inf),
        ([[0.5, 0.5, 0.0]], [[0.5, 0.5]], True, np.inf),
    ],
)
def test_how_far_answers_are_off_is_told_in_their_own_unit(found, expected, probabilities, off):
    file = File(None, "onnx", {}, (np.array(expected),), probabilities)
    assert distance((np.array(found),), file) == pytest.approx(off, rel=1e-6)


def test_several_inputs_and_outputs_keep_their_names_and_order(tmp_path):
    from orchestrator.training.export_formats import ask, flat, write

    sizes = {"b": (3,), "a-b": (2, 2)}
    inputs = {name: keras.Input(size, name=name) for name, size in sizes.items()}
    flattened = keras.layers.Flatten()(inputs["a-b"])
    outputs = [keras.layers.Dense(2)(inputs["b"]), keras.layers.Dense(1)(flattened)]
    model = keras.Model(inputs, outputs)
    made = write(flat(model, None, texts=True), "saved_model", tmp_path / "it", {})
    rows = {
        name: np.random.default_rng(0).normal(size=(5, *size)).astype("f4")
        for name, size in sizes.items()
    }
    assert {one.name: one.column for one in made.inputs} == {"a_b": "a-b", "b": "b"}
    for found, expected in zip(
        ask("saved_model", tmp_path / "it", made.fed(rows)), model(rows), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
