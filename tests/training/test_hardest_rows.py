"""The rows that a winner gets most wrong: which, in which order, and as what they are shown."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from orchestrator.config import DataOptions
from orchestrator.data import ColumnRecipe, Dataset, Split, TableRecipe
from orchestrator.training.calibration import JudgedRows
from orchestrator.training.final_evaluation import judge
from orchestrator.training.final_evaluation.hardest_rows import SIDE, hardest_rows
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import model_summary
from orchestrator.trials import save_checkpoint

ANSWERS = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.05, 0.95], [0.7, 0.3]])
TRUTH = np.array([1.0, 1.0, 0.0, 0.0, 0.0])
CLASSES = JudgedRows("classes", ("no", "yes"), ANSWERS, TRUTH, np.ones(5))


def dataset(x, scaling=None, table=None) -> Dataset:
    rows = Split(x, np.zeros(len(x), np.int32))
    return Dataset(rows, rows, rows, ("no", "yes"), scaling or {"how": "none"}, "", "", table=table)


def shown(x, rows=CLASSES, most=9, **more) -> list[dict]:
    return hardest_rows(dataset(x, **more), rows, most)["examples"]


def picture_of(example) -> np.ndarray:
    from PIL import Image

    kind, _, content = example["picture"].partition(",")
    assert kind == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


def test_wrong_rows_come_by_how_little_was_given_to_what_is_true():
    found = hardest_rows(dataset(np.arange(5.0)[:, None]), CLASSES, 2)
    assert (found["rows"], found["wrong"], found["kind"]) == (5, 3, "classes")
    told = [(e["row"], e["truth"], e["answer"], e["of_truth"]) for e in found["examples"]]
    assert told == [(3, "no", "yes", 0.05), (0, "yes", "no", 0.1)]
    assert [e["text"] for e in found["examples"]] == ["3", "0"]


def test_rows_whose_answer_was_not_finite_shift_no_others():
    kept = replace(CLASSES.take([0, 2, 3]), left_out=2, places=np.array([0, 2, 3]))
    assert [e["text"] for e in shown(np.arange(5.0)[:, None], kept)] == ["3", "0", "2"]


def test_of_flags_the_worst_one_is_named():
    answers, truth = np.array([[0.9, 0.2], [0.4, 0.9]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    rows = JudgedRows("flags", ("wet", "warm"), answers, truth, np.ones(2))
    [one] = shown(np.zeros((2, 1)), rows)
    assert (one["row"], one["truth"], one["answer"]) == (0, "warm: yes", "no")
    assert one["of_answer"] == pytest.approx(0.8)


def test_of_quantities_those_that_are_furthest_off():
    rows = JudgedRows(
        "quantities", ("price",), np.array([[1.0], [5.0], [9.0]]), np.array([[1.5], [2.0], [9.0]]), np.ones(3)
    )  # fmt: skip
    told = [(e["row"], e["truth"], e["answer"]) for e in shown(np.zeros((3, 1)), rows, most=2)]
    assert told == [(1, "2", "5"), (0, "1.5", "1")]


@pytest.mark.parametrize("how", ["standard", "minmax"])
def test_a_tables_columns_are_as_they_were_before_scaling(how):
    columns = (
        ColumnRecipe("age", "number"),
        ColumnRecipe("soil", "text", categories=("sand", "<b>loam</b>")),
        ColumnRecipe("wet", "flag"),
    )
    raw = np.array([[40, 1, 0, 1], [31.5, 0, 1, 0], [7, 0, 1, 1], [5, 0, 0, 0], [9, 1, 0, 1.0]])
    mean, std = raw.mean(axis=0), raw.std(axis=0)
    low, high = raw.min(axis=0), raw.max(axis=0)
    scaling = {"how": how, "mean": mean, "std": std, "min": low, "max": high}
    x = (raw - mean) / std if how == "standard" else (raw - low) / (high - low)
    found = shown(x.astype(np.float32), scaling=scaling, table=TableRecipe(columns))
    assert [e["values"] for e in found] == [
        {"age": "5", "soil": "none of the known", "wet": "false"},
        {"age": "40", "soil": "sand", "wet": "true"},
        {"age": "7", "soil": "<b>loam</b>", "wet": "true"},
    ]


@pytest.mark.parametrize("channels, mode", [(None, 2), (1, 2), (3, 3)])
def test_images_are_pictures_of_their_pixels(channels, mode):
    shape = (5, 8, 8) if channels is None else (5, 8, 8, channels)
    x = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    found = picture_of(shown(x)[0])
    assert found.ndim == mode
    np.testing.assert_array_equal(found, x[3].squeeze())


def test_large_images_are_made_smaller_and_scaled_ones_are_brought_back():
    x = np.full((5, 300, 200, 1), 255.0, np.float32)
    x[:, :, 100:] = 0.0
    found = picture_of(
        shown((x - 10) / 3, scaling={"how": "standard", "mean": [10], "std": [3]})[0]
    )
    assert found.shape == (60, 40) and max(found.shape) <= SIDE
    assert (found[0, 0], found[0, -1]) == (255, 0)


def test_texts_are_texts_and_long_ones_are_cut():
    x = np.array([["<script>"], ["b"], ["c"], ["long " * 200], ["e"]], dtype=object)
    long, short, _ = shown(x)
    assert (len(long["text"]), short["text"]) == (300, "<script>")


def test_a_series_of_a_few_channels_is_no_picture():
    [first, *_] = shown(np.ones((5, 200, 3)))
    assert first["text"].endswith("… (600 numbers)")


def test_several_inputs_are_told_by_name():
    x = {"age": np.arange(5.0)[:, None], "note": np.array([["a"], ["b"], ["c"], ["d"], ["e"]])}
    rows = Split(x, np.zeros(5, np.int32))
    several = Dataset(rows, rows, rows, ("no", "yes"), {"how": "none"}, "", "")
    [first, *_] = hardest_rows(several, CLASSES, 9)["examples"]
    assert first["values"] == {"age": "3", "note": "d"}


def test_rows_of_ones_own_data_are_kept_where_one_asks_for_them_alone():
    assert [DataOptions(source="x").examples_of(bundled) for bundled in (True, False)] == [12, 0]
    assert DataOptions(source="x", example_rows=5).examples_of(False) == 5
    assert DataOptions(source="x", example_rows=0).examples_of(True) == 0


def test_a_winners_rows_lie_beside_it_until_another_one_keeps_none(mlp, train, tmp_path):
    for wanted in (4, 0):
        trainer = Trainer(replace(mlp, examples=wanted))
        train(trainer, {"units": 4, "learning_rate": 1e-5}, epochs=1)
        save_checkpoint(tmp_path / "state.npz", trainer.checkpoint({"trial": "00007"}))
        judge(trainer, tmp_path / "state.npz", tmp_path / "best")
        file = tmp_path / "best" / "examples.json"
        assert file.exists() == bool(wanted)
        details = json.loads((tmp_path / "best" / "details.json").read_text())
        assert "examples" not in details and details["model"]["parameters"] > 0
        if wanted:
            found = json.loads(file.read_text())
            assert found["trial"] == "00007" and len(found["examples"]) == 4


def test_a_model_is_told_layer_by_layer_of_models_within_it_too():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="one")], name="inner")
    model = keras.Sequential([keras.Input((2, 2)), keras.layers.Flatten(name="flat"), inner])
    model.add(keras.layers.BatchNormalization(name="norm"))
    found = model_summary(model)
    rows = [
        (e["layer"], e["kind"], e["output"], e["parameters"], e["trainable"])
        for e in found["layers"]
    ]
    assert rows == [
        ("flat", "Flatten", "4", 0, 0),
        ("inner/one", "Dense", "3", 15, 15),
        ("norm", "BatchNormalization", "3", 12, 6),
    ]
    assert (found["parameters"], found["trainable"], found["left_out"]) == (27, 21, 0)
