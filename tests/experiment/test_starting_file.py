"""A first file that fits the data: what is decided of real tables, and that it runs as written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from sklearn import datasets

import orchestrator
from orchestrator.config import load_experiment
from orchestrator.errors import DataError, ExperimentFileError, UnknownNameError
from orchestrator.experiment.preview import preview_experiment
from orchestrator.experiment.starting_file import write_starting_file


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def written(data, name="first.yaml"):
    said = write_starting_file(data, Path(name))
    load_experiment(name)
    return yaml.safe_load(Path(name).read_text()), " | ".join(said)


def table_of(name, **csv):
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    bunch.frame.to_csv(f"{name}.csv", **csv)
    return bunch


@pytest.mark.parametrize(
    ("name", "metric", "task"),
    [
        ("iris", "val_accuracy", "classification of 3 classes"),
        ("wine", "val_accuracy", "classification of 3 classes"),
        ("breast_cancer", "val_accuracy", "classification of 2 classes"),
        ("diabetes", "val_mae", "regression"),
    ],
)
def test_the_sets_of_scikit_learn_are_taken_for_what_they_are(name, metric, task):
    table_of(name, index=name == "wine")  # a pandas index that was saved is no feature
    content, said = written(f"{name}.csv")
    assert content["data"] == {"source": f"./{name}.csv", "label": "target"}
    assert (content["metric"], content["model"]) == (metric, "mlp")
    assert "label: target, by its name" in said and f"task: {task}" in said


def passengers(rows=200):
    random = np.random.default_rng(0)
    age = random.integers(1, 80, rows).astype(object)
    age[::5] = ""
    return pd.DataFrame(
        {
            "PassengerId": range(1, rows + 1),
            "Survived": random.integers(0, 2, rows),
            "Name": [f"Mr. {number} of the House {number}" for number in range(rows)],
            "Sex": random.choice(["male", "female"], rows),
            "Age": age,
            "Joined": pd.date_range("2020-01-01", periods=rows).astype(str),
            "Ship": "Titanic",
        }
    )


def test_what_is_no_feature_is_left_out_and_said():
    passengers().to_csv("titanic.csv", index=False)
    content, said = written("titanic.csv")
    assert content["data"] == {
        "source": "./titanic.csv",
        "label": "Survived",
        "drop": ["Joined", "PassengerId", "Name", "Ship"],
        "missing": "median",
    }
    for words in (
        "Joined: dates",
        "PassengerId: each row",
        "Name: it is free text",
        "Ship: it has",
    ):
        assert f"left out {words}" in said
    assert "missing values in Age become the median" in said


def test_the_file_runs_as_it_was_written():
    passengers(80).to_csv("titanic.csv", index=False)
    write_starting_file("titanic.csv", Path("titanic.yaml"))
    done = orchestrator.run(
        "titanic.yaml", ["epochs=2", "caviar.num_samples=2"], progress=False, executor="inline"
    )
    assert done.succeeded and done.best is not None


def test_a_column_with_a_few_odd_values_is_one_of_numbers():
    values = [*map(str, range(195)), *["broken"] * 5]
    frame = {"a": values, "b": np.arange(200.0) % 7, "fraud": [0] * 170 + [1] * 30}
    pd.DataFrame(frame).to_csv("odd.csv", sep=";", index=False)
    content, said = written("odd.csv")
    assert content["data"]["columns"] == {"a": "number"}
    assert content["data"]["label"] == "fraud" and "the last column" in said
    assert content["metric"] == "val_balanced_accuracy" and "most rows are of one class" in said


def test_a_table_without_a_head_has_numbered_columns_and_its_classes_may_come_first():
    bunch = table_of("wine")
    bunch.frame[["target", *bunch.feature_names]].to_csv("raw.csv", header=False, index=False)
    content, said = written("raw.csv")
    assert content["data"] == {"source": "./raw.csv", "header": False, "label": "column_1"}
    assert "the first column" in said


def test_many_whole_numbers_as_labels_are_quantities():
    random = np.random.default_rng(0)
    frame = {"x": random.random(300), "sold": random.integers(0, 60, 300)}
    pd.DataFrame(frame).to_parquet("sold.parquet")
    content, _ = written("sold.parquet")
    assert (content["task"], content["metric"]) == ("regression", "val_mae")


def test_only_free_text_is_refused_with_the_way_out():
    texts = [f"a review of the film with the number {number} in it" for number in range(300)]
    pd.DataFrame({"text": texts, "label": [0, 1] * 150}).to_csv("reviews.csv", index=False)
    with pytest.raises(DataError, match=r"free text.*load\.py:load"):
        written("reviews.csv")
    assert not Path("first.yaml").exists()


def test_arrays_are_read_by_their_shape():
    random = np.random.default_rng(0)
    np.savez("a.npz", x=random.random((90, 12)), y=random.integers(0, 3, 90))
    np.savez("b.npz", x=random.random((90, 16, 16, 3)), y=random.integers(0, 3, 90))
    assert written("a.npz", "a.yaml")[0]["model"] == "mlp"
    content, said = written("b.npz", "b.yaml")
    assert content["model"] == content["search_space"] == "cnn" and "16x16x3 pictures" in said


def test_pictures_of_different_sizes_are_resized():
    for number in range(20):
        folder = Path("pics", "cat" if number % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16 + number % 3), (number, 0, 0)).save(folder / f"{number}.png")
    content, said = written("pics")
    assert content["model"] == "cnn" and len(content["data"]["image_size"]) == 2
    assert "pictures are resized" in said


def test_the_data_are_named_from_the_files_own_folder():
    table_of("iris")
    Path("sub").mkdir()
    assert written("iris.csv", "sub/x.yaml")[0]["data"]["source"] == "../iris.csv"
    assert preview_experiment("sub/x.yaml").experiment.name == "x"


def test_what_is_not_there_or_would_be_overwritten_is_refused():
    table_of("iris")
    Path("mine.yaml").write_text("mine")
    with pytest.raises(ExperimentFileError, match="none is overwritten"):
        write_starting_file("iris.csv", Path("mine.yaml"))
    assert Path("mine.yaml").read_text() == "mine"
    with pytest.raises((ExperimentFileError, UnknownNameError), match=r"iris\.csv"):
        write_starting_file("irs.csv", Path("new.yaml"))
