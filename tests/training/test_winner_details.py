"""What an examination says beyond scores: of real models, against scikit-learn and against Keras itself."""

from __future__ import annotations

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from scipy.special import softmax
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from orchestrator.data import Labels, Split
from orchestrator.training.calibration import Tempering
from orchestrator.training.final_evaluation import judge, winner_details
from orchestrator.training.final_evaluation.judged_rows import judged_rows
from orchestrator.training.portable import with_temperature, write_metadata
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import arrays_of
from orchestrator.trials import save_checkpoint
from tests.depth import further, in_depth
from tests.training.streams import streamed_from

HP = {"units": 8, "hidden_layers": 1, "batch_size": 32, "learning_rate": 0.05}


def detailed(trainer, train, metric="val_accuracy", hp=HP):
    train(trainer, hp, epochs=2)
    return winner_details(trainer, metric, {})


def test_classes_calibration_and_noise_are_those_of_the_models_answers(worker, train, data):
    record, whole = detailed(worker, train)
    p = worker.backend.compiled.model.predict(data.validation.x, verbose=0)
    y, guess = data.validation.y, p.argmax(axis=1)
    theirs = precision_recall_fscore_support(y, guess, zero_division=np.nan)
    found = whole["per_class"]["validation"]["classes"]
    assert [one["class"] for one in found] == ["a", "b", "c"]
    for name, values in zip(("precision", "recall", "f1", "support"), theirs, strict=True):
        ours = [np.nan if one[name] is None else one[name] for one in found]
        np.testing.assert_allclose(ours, values)
    share = accuracy_score(y, guess)
    expected = np.sqrt(share * (1 - share) / len(y))
    assert record["noise"]["val_accuracy"] == pytest.approx(expected, rel=0.35)
    assert whole["rows"] == {"validation": 70, "test": 50}
    assert record["calibration"]["ece"].keys() == {"validation", "test"}
    json.dumps(whole, allow_nan=False)


def test_examining_changes_nothing_of_the_model(worker, train):
    trainer = worker
    train(trainer, HP, epochs=1)
    before = arrays_of(trainer.backend.compiled.model.variables)
    scores = trainer.evaluate("validation")
    winner_details(trainer, "val_accuracy", {})
    for old, new in zip(before, arrays_of(trainer.backend.compiled.model.variables), strict=True):
        np.testing.assert_array_equal(old, new)
    assert trainer.evaluate("validation") == scores


def test_batch_statistics_are_those_of_keras_in_training_and_moving_ones_those_recorded(
    worker, train, data
):
    trainer = worker
    hp = HP | {"batch_size": 70}  # one batch of all validation rows
    record, _ = detailed(trainer, train, hp=hp)
    found, model = record["batch_norm"], trainer.backend.compiled.model
    assert found["moving_averages"] == pytest.approx(trainer.evaluate("validation")["accuracy"])
    by_batch = np.asarray(model(data.validation.x, training=True)).argmax(
        axis=1
    )  # no dropout in it
    assert found["batch_statistics"] == pytest.approx((by_batch == data.validation.y).mean())
    assert found["gap"] == pytest.approx(found["batch_statistics"] - found["moving_averages"])
    assert found["batch_size"] == 70


def test_averages_that_are_far_off_show_in_the_layers(worker, train, tmp_path):
    trainer = worker
    train(trainer, HP, epochs=3)
    mean, variance = trainer.backend.batch_norm.averages[:2]
    mean.assign(mean + 30)
    variance.assign(variance * 100)
    save_checkpoint(tmp_path / "c.npz", trainer.checkpoint({"trial": "00000", "chosen": HP}))
    verdict = judge(trainer, tmp_path / "c.npz", tmp_path / "best", "val_accuracy", "max")
    whole = json.loads((tmp_path / "best/details.json").read_text())
    [layer] = whole["batch_norm"]["layers"]
    assert layer["mean_off"] > 3 and layer["variance_ratio"] > 20
    assert "layers" not in verdict["batch_norm"]


def test_a_model_without_batch_norm_has_no_word_of_it(worker, train):
    record, whole = detailed(worker, train, hp=HP | {"batch_norm": False})
    assert "batch_norm" not in record and "batch_norm" not in whole


def test_streams_and_rows_in_memory_say_the_same(mlp, worker, train, data):
    _, whole = detailed(worker, train, hp=HP | {"batch_norm": False})
    streamed = type(mlp)(mlp.model, streamed_from(data), 2)
    _, of_stream = detailed(Trainer(streamed), train, hp=HP | {"batch_norm": False})
    assert of_stream["rows"] == whole["rows"]
    assert of_stream["per_class"].keys() == whole["per_class"].keys()


def test_rows_whose_outputs_are_not_finite_are_counted_and_left_out(net, train, data):
    task = net("""
        from keras import ops
        class Hole(layers.Layer):
            def call(self, x):
                return ops.where(x[:, :1] > 1.5, float("nan"), 1.0) * x
        def build(hp, input_shape, num_classes):
            return keras.Sequential([keras.Input(input_shape), layers.Dense(num_classes, activation="softmax"), Hole()])
    """)
    trainer = Trainer(replace(task, task=None))
    trainer.begin({}, 0)
    model = trainer.backend.compiled.model
    x = data.validation.x
    model.layers[-1].call = lambda p: keras.ops.where(p[:, :1] > 0.5, float("nan"), 1.0) * p
    bad = int((~np.isfinite(np.asarray(model(x)))).any(axis=1).sum())
    rows = judged_rows(trainer, "validation")
    assert 0 < bad < len(x)
    assert (rows.left_out, rows.rows) == (bad, len(x) - bad)
    record, whole = winner_details(trainer, "val_accuracy", {})
    assert record["not_finite"]["validation"] == bad
    json.dumps(whole, allow_nan=False)


def test_a_model_that_cannot_be_called_costs_no_score_and_says_why(mlp, train):
    trainer = Trainer(mlp)
    train(trainer, HP, epochs=1)

    def call(*given, **options):
        raise RuntimeError("not to be called")

    object.__setattr__(trainer.backend.compiled.model, "call", call)
    record, whole = winner_details(trainer, "val_accuracy", {})
    assert "its code raised RuntimeError" in record["not_detailed"]
    assert whole == record


def test_quantities_have_residuals_in_the_users_unit(data, mlp, train):
    rng = np.random.default_rng(0)
    parts = []
    for rows in (150, 70, 50):
        x = rng.normal(size=(rows, 3)).astype("f4")
        parts.append(Split(x, (1000 + 50 * x[:, :1]).astype("f4"), (1000 + 50 * x[:, 0])))
    labels = Labels(form="quantities").fitted(parts[0].given)
    made = replace(
        data,
        train=parts[0],
        validation=parts[1],
        test=parts[2],
        classes=(),
        labels=labels,
        view="columns",
    )
    from orchestrator.training.task import Task

    task = replace(mlp, dataset=made, task=Task("regression", standardized=True))
    trainer = Trainer(task)
    record, whole = detailed(trainer, train, "val_mae")
    [found] = whole["residuals"]["validation"]
    assert 1 < found["sd"] < 60 and abs(found["mean"]) < 60
    assert record["noise"]["val_mae"] > 0
    assert "calibration" not in record and "per_class" not in whole


@pytest.mark.parametrize(
    ("units", "activation", "how"),
    [
        (4, "softmax", Tempering(1.7)),
        further(1, "sigmoid", Tempering(0.6)),
        (3, "sigmoid", Tempering(2.5, flags=True)),
        (4, None, Tempering(1.3, activation="softmax")),
        further(1, None, Tempering(1.3, activation="sigmoid")),
    ],
)
@pytest.mark.parametrize("kind", in_depth(["functional", "sequential"], "functional"))
def test_a_file_with_a_temperature_answers_as_its_formula(tmp_path, units, activation, how, kind):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(units, activation)])
    if kind == "functional":
        one = keras.Input((5,), name="rows")
        model = keras.Model({"rows": one}, keras.layers.Dense(units, activation)(one))
    whole = with_temperature(model, how)
    whole.save(tmp_path / "t.keras")
    write_metadata(tmp_path / "t.keras", {"temperature": how.temperature})
    x = (4 * np.random.default_rng(0).normal(size=(60, 5))).astype("f4")
    rows = {"rows": x} if kind == "functional" else x
    found = keras.saving.load_model(tmp_path / "t.keras").predict(rows, verbose=0)
    outputs = model.predict(rows, verbose=0)
    np.testing.assert_allclose(found, how.of(outputs), rtol=2e-4, atol=1e-6)
    if activation is None and units > 1:
        np.testing.assert_allclose(found, softmax(outputs / how.temperature, axis=1), atol=1e-4)


def test_a_subclassed_model_takes_no_temperature():
    class Net(keras.Model):
        def call(self, x):
            return x

    assert with_temperature(Net(), Tempering(2.0)) is None
