"""Runs that are looked at again on today's stream, on another one, on what is none, on a table that gained columns."""

from __future__ import annotations

import pytest

import orchestrator
from orchestrator.errors import DataError, ExperimentFileError
from orchestrator.records import read_run

STREAMS = """
import numpy as np
import tensorflow as tf

def pipeline(seed, rows=120, width=3, moved=0.0):
    def each():
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(rows, width)).astype("float32")
        y = (x[:, 0] > 0).astype("int32")
        order = np.argsort(y, kind="stable")  # first all rows of one class
        for at in np.array_split(order, 6):
            yield x[at] + np.float32(moved), y[at]
    shapes = tf.TensorSpec((None, width), tf.float32), tf.TensorSpec((None,), tf.int32)
    return tf.data.Dataset.from_generator(each, output_signature=shapes)

def load():
    return {"train": pipeline(0), "validation": pipeline(1, 40)}

def moved():
    return {"train": pipeline(2, 4200, moved=1.0), "validation": pipeline(3, 40, moved=1.0)}

def wider():
    return {"train": pipeline(2, width=4), "validation": pipeline(3, width=4)}
"""
NET = """
import keras

def build(hp, input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Dense(num_classes, activation="softmax")])
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    place = tmp_path_factory.mktemp("streams")
    (place / "rows.py").write_text(STREAMS)
    (place / "net.py").write_text(NET)
    content = {
        "name": "streamed", "model": str(place / "net.py"), "epochs": 1, "storage_path": str(place),
        "data": {"source": str(place / "rows.py")},
        "search_space": {"learning_rate": "choice([0.01, 0.03])", "batch_size": 60},
        "caviar": {"num_samples": 1, "scheduler": "none"},
    }  # fmt: skip
    return orchestrator.run(content, executor="inline", progress=False)


def again(run, **more):
    return orchestrator.reevaluate(run, seeds=2, executor="inline", progress=False, **more)


def test_the_stream_itself_is_read_again_and_found_unchanged(run):
    record = again(run).record
    assert record["data"]["unchanged"] and record["drift"] == []
    assert record["data"]["rows"]["train"] == 120
    assert all(len(row["scores"]) == 2 for row in record["configurations"])


def test_another_stream_is_compared_by_rows_drawn_from_all_of_it(run):
    record = again(run, data=run.path.parent / "rows.py:moved").record
    found = {each["what"]: each["names"] for each in record["drift"]}
    assert set(found["features"]) == {"feature 0", "feature 1", "feature 2"}
    assert "class balance" not in found and "lost class" not in found
    assert record["data"]["compared"] == ["2,000 of 4,200 training rows of today"]
    assert record["old_model"]["rows"] == 40


def test_a_stream_of_rows_of_another_shape_is_refused_before_anything_is_trained(run):
    before = sorted(run.path.glob("reevaluations/*"))
    with pytest.raises(DataError, match=r"rows of shape \(3,\) were expected"):
        again(run, data=run.path.parent / "rows.py:wider")
    assert sorted(run.path.glob("reevaluations/*")) == before


def test_a_pipeline_itself_is_refused_since_each_worker_makes_its_own(run):
    import tensorflow as tf

    rows = tf.data.Dataset.from_tensor_slices(([[0.0] * 3], [0]))
    with pytest.raises(
        ExperimentFileError, match=r"a function that returns the tf\.data pipelines"
    ):
        again(run, data={"train": rows, "validation": rows})


def test_columns_that_a_table_has_gained_are_left_out_and_named(tmp_path, capsys):
    def table(name, *more):
        rows = [f"{at},{at % 2},{'ab'[at % 2]}" + ",7" * len(more) for at in range(60)]
        (tmp_path / name).write_text("\n".join([",".join(["x", "z", "kind", *more]), *rows]))
        return tmp_path / name

    (tmp_path / "net.py").write_text(NET)
    content = {
        "name": "tabled", "model": str(tmp_path / "net.py"), "epochs": 1, "storage_path": str(tmp_path),
        "data": {"source": str(table("then.csv")), "label": "kind"},
        "search_space": {"learning_rate": 0.01, "batch_size": 30}, "caviar": {"num_samples": 1},
    }  # fmt: skip
    tabled = orchestrator.run(content, executor="inline", progress=False)
    record = again(tabled, data=table("today.csv", "newer", "newest")).record
    assert "the run had no such column: newer, newest" in capsys.readouterr().err
    retrained = read_run(tabled.path / record["folder"] / "incumbent").experiment
    assert retrained["data"]["drop"] == ["newer", "newest"]
    assert record["drift"] == []
