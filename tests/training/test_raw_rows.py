"""The winner's file alone, in plain Keras, gives on the user's own rows the scores that the run says."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

from orchestrator.catalog import CallableReference, DataReference
from orchestrator.config.data_options import DataOptions
from orchestrator.data import load_dataset
from orchestrator.data.assemble import assemble
from orchestrator.data.dataset import DataRequest
from orchestrator.data.frames import load_frames
from orchestrator.training.final_evaluation import judge
from orchestrator.training.task import TrainingTask, task_of_labels
from orchestrator.training.trainer import Trainer
from orchestrator.trials import save_checkpoint
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.training.conftest import MLP
from tests.training.raw_cases import ARRAYS, table

HP = {"units": 16, "hidden_layers": 1, "batch_size": 32, "learning_rate": 0.05}
PLAIN_KERAS = """
import json, pathlib, sys
import numpy as np, keras, tensorflow as tf
found = {}
for file in sorted(pathlib.Path(sys.argv[1]).glob("*/best/model.keras")):
    rows = np.load(file.parents[1] / "rows.npz")
    x = {name[2:]: tf.constant(rows[name]) for name in rows.files if name.startswith("x.")}
    model = keras.saving.load_model(file, safe_mode=True)
    scores = model.evaluate(x.get("", x), rows["y"], verbose=0, return_dict=True)
    found[file.parents[1].name] = {name: float(score) for name, score in scores.items()}
assert not any(name.partition(".")[0] == "orchestrator" for name in sys.modules)
print(json.dumps(found))
"""


def examined(folder, dataset, net, task):
    """Train two epochs and examine, as the last worker of a run does."""
    folder.mkdir()
    model = MLP
    if net is not None:
        (folder / "net.py").write_text(net, encoding="utf-8")
        model = CallableReference("file", str(folder / "net.py"), "build", "./net.py")
    known = task_of_labels(dataset, task, "data") if net is None else None
    trainer = Trainer(TrainingTask(model, dataset, 2, task=known))
    trainer.begin(HP, 1)
    train_epoch(trainer), train_epoch(trainer)
    save_checkpoint(folder / "c.npz", trainer.checkpoint({"trial": "00000", "chosen": HP}))
    return judge(trainer, folder / "c.npz", folder / "best")


def of_arrays(case):
    options = {"scale": "standard" if case.net is None else "none"} | case.options
    pieces = dict(zip(("train", "test"), case.pieces, strict=True))
    reference = DataReference("object", "x", "x")
    return assemble(
        pieces, DataRequest(reference, DataOptions(source="x", **options), 0, case.task)
    )


def of_frames():
    train, test = pd.DataFrame(table(300, 0)), pd.DataFrame(table(120, 1))
    test.loc[::9, "colour"] = "ochre"
    options = DataOptions(source="x", label="sort", missing="median", scale="standard")
    pieces = {"train": (train, None), "test": (test, None)}
    return load_frames(pieces, DataRequest(DataReference("object", "x", "x"), options, 0)), test


def of_wide_frames():
    wide = {f"n{at}": np.random.default_rng(at).normal(at, 5, 330) for at in range(520)}
    frame = pd.DataFrame(wide | {"colour": table(330, 0)["colour"], "y": table(330, 0)["sort"]})
    pieces = {"train": (frame[:250], None), "test": (frame[250:], None)}
    options = DataOptions(source="x", label="y", missing="most_frequent", scale="standard")
    return load_frames(pieces, DataRequest(DataReference("object", "x", "x"), options, 0)), frame[
        250:
    ]


def of_stream(folder):
    frame = pd.DataFrame(table(300, 5)).drop(columns="old")
    frame["height"] = np.arange(300) + 0.5  # each row's own, by which it is found again
    frame.to_csv(folder / "t.csv", index=False)
    options = DataOptions(source="x", label="sort", missing="mean", scale="standard", stream=True)
    reference = DataReference("csv", str(folder / "t.csv"), "./t.csv")
    dataset = load_dataset(reference, options, 0)
    heights = dataset.test.batches.raw(300)["height"]
    return dataset, frame.set_index("height", drop=False).loc[heights]


def as_columns(frame, label):
    """Return a frame's columns as a saved model takes them, by nothing of ours."""
    columns = {}
    for name in frame.columns.drop(label):
        texts = frame[name].dtype == object or str(frame[name].dtype).startswith("str")
        values = frame[name].fillna("").astype(str) if texts else frame[name].astype("float32")
        columns[f"x.{name}"] = values.to_numpy().astype("U" if texts else "f4")[:, None]
    return columns


@pytest.fixture(scope="module")
def scores(tmp_path_factory):
    """What the runs say of their test rows, and what plain Keras says, in one process of its own."""
    folder, said = tmp_path_factory.mktemp("winners"), {}
    for name, make in ARRAYS.items():
        case = make()
        verdict = examined(folder / name, of_arrays(case), case.net, case.task)
        assert "not_saved" not in verdict, verdict["not_saved"]
        said[name] = {metric: verdict["test"][metric] for metric in case.metrics}
        raw = case.raw if isinstance(case.raw, dict) else {"": case.raw}
        np.savez(folder / name / "rows.npz", y=case.y, **{f"x.{k}": v for k, v in raw.items()})
    tables = {"table": of_frames(), "streamed": of_stream(folder), "wide": of_wide_frames()}
    for name, (dataset, rows) in tables.items():
        verdict = examined(folder / name, dataset, None, "auto")
        assert "not_saved" not in verdict, verdict["not_saved"]
        said[name] = {"accuracy": verdict["test"]["accuracy"]}
        label = "y" if name == "wide" else "sort"
        x = {"x.": encoded(rows)} if name == "wide" else as_columns(rows, label)
        y = np.searchsorted(dataset.classes, rows[label].to_numpy().astype(str))
        np.savez(folder / name / "rows.npz", y=y, **x)
    done = subprocess.run(
        [sys.executable, "-c", PLAIN_KERAS, str(folder)],
        capture_output=True, text=True, timeout=280, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, said, json.loads(done.stdout.splitlines()[-1])


def encoded(frame):
    """Return a wide table's features by hand: numbers, and a 1 for the colour or the most frequent one."""
    numbers = frame[[name for name in frame.columns if name.startswith("n")]].to_numpy()
    colours = table(330, 0)["colour"][:250]
    known = sorted(set(colours) - {""})
    usual = max(known, key=list(colours).count)
    filled = frame["colour"].where(frame["colour"] != "", usual).to_numpy()
    return np.hstack([numbers, filled[:, None] == np.array(known)]).astype("float32")


@pytest.mark.parametrize("name", [*ARRAYS, "table", "streamed", "wide"])
def test_the_file_alone_gives_the_test_scores_on_raw_rows(scores, name):
    _, said, plain = scores
    there = {metric: plain[name][metric] for metric in said[name]}
    assert there == pytest.approx(said[name], rel=2e-3)
    if name != "quantities":
        assert 0.2 < there["accuracy"] < 1 or name in ("two_inputs", "pictures", "token_ids")


@pytest.mark.parametrize(
    ("name", "classes"),
    [("whole_labels", ("3", "9", "10")), ("table", ("duck", "goose", "hen")), ("quantities", ())],
)
def test_the_file_names_its_classes(scores, name, classes):
    with zipfile.ZipFile(scores[0] / name / "best/model.keras") as file:
        named = json.loads(file.read("metadata.json")).get("class_names", ())
    assert tuple(named) == classes
