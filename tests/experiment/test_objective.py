"""By what trials are judged, settled before anything starts."""

from __future__ import annotations

import re

import pytest

from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.prepared import prepare, read_experiment

NET = """
import keras

def build(hp, input_shape, num_classes):
    model = keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(hp["units"], activation="relu"),
        keras.layers.Dense(num_classes, activation="softmax"),
    ])
    def mine(y, p):
        return keras.ops.mean(p, axis=-1)
    one_hot = keras.metrics.MeanMetricWrapper(
        lambda y, p: keras.losses.sparse_categorical_crossentropy(y, p), name="plain"
    )
    metrics = ["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(name="close"), mine, one_hot]
    model.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=metrics)
    return model
"""


@pytest.fixture
def prepared(tmp_path):
    """`prepared(metric="val_x")`: an experiment with a model of one's own, ready to run."""
    (tmp_path / "net.py").write_text(NET)

    def ready(**keys):
        content = {
            "name": "one", "model": str(tmp_path / "net.py"), "data": "digits", "epochs": 2,
            "search_space": {"units": "choice([2, 3])"}, "storage_path": str(tmp_path / "runs"),
            "caviar": {"num_samples": 2},
        }  # fmt: skip
        return prepare(read_experiment(content | keys))

    return ready


def test_a_metrics_class_tells_the_direction_whichever_name_it_bears(prepared):
    found = prepared(metric="val_close")
    assert (found.plan.mode, found.experiment.mode) == ("max", "max")
    assert "mode: max" in found.document


def test_a_direction_against_a_metrics_class_is_refused(prepared):
    with pytest.raises(
        ExperimentFileError, match="mode: expected max, since a high val_close is good"
    ):
        prepared(metric="val_close", mode="min")


def test_where_nobody_knows_the_direction_it_is_asked_for_and_taken_as_said(prepared):
    for metric in ("val_mine", "val_plain"):
        with pytest.raises(ExperimentFileError, match="Write mode: max or mode: min"):
            prepared(metric=metric)
    assert prepared(metric="val_mine", mode="min").plan.mode == "min"


def test_a_metric_that_the_model_does_not_report_is_refused_with_those_it_does(prepared):
    with pytest.raises(ExperimentFileError) as refused:
        prepared(metric="val_clos")
    assert "Did you mean 'val_close'?" in str(refused.value)
    assert "Known: accuracy, close, loss, mine" in str(refused.value)


def test_a_name_tells_the_direction_where_none_is_written(prepared):
    assert prepared(metric="val_loss", model="mlp").plan.mode == "min"
    assert prepared(metric="val_loss", model="mlp").experiment.mode == "min"


def test_a_metric_by_name_can_judge_and_has_to_be_asked_for(prepared):
    for model in ({"model": "mlp"}, {}):
        found = prepared(metric="val_macro_f1", metrics=["macro_f1", "log_loss"], **model)
        assert found.plan.mode == "max"
        assert found.job(found_folder(found)).task.metrics == ("macro_f1", "log_loss")
        with pytest.raises(ExperimentFileError, match=r"Ask for it: metrics: \[macro_f1\]"):
            prepared(metric="val_macro_f1", **model)


def found_folder(prepared):
    from orchestrator.experiment.prepared import folder_of

    return folder_of(prepared.experiment)


def test_a_metric_that_there_is_not_is_refused_with_the_near_miss(prepared):
    with pytest.raises(
        ExperimentFileError, match=r"metrics: unknown metric.*Did you mean 'macro_f1'"
    ):
        prepared(metrics=["macro_f"])
    assert prepared(metrics="top_3_accuracy", model="mlp").experiment.metrics == ("top_3_accuracy",)


def test_targets_that_no_weights_reach_are_said(prepared, tmp_path):
    (tmp_path / "head.py").write_text(
        "import keras\n\n\ndef build(hp, input_shape, num_classes):\n    return keras.Sequential(["
        "keras.Input(input_shape), keras.layers.Dense(hp['units']), keras.layers.Dense(1, 'relu')])\n"
    )
    (tmp_path / "data.py").write_text(
        "import numpy as np\n\n\ndef load():\n    x = np.random.default_rng(0).normal(size=(400, 3))\n"
        "    return x, x.sum(axis=1)\n"
    )
    one = prepared(model=str(tmp_path / "head.py"), data=str(tmp_path / "data.py"))
    said = " ".join(one.trials.sentences())
    assert re.search(
        r"[45]\d % of the targets cannot be reached by outputs that are never negative", said
    )


def test_heads_that_bound_quantities_and_others_that_do_not_are_not_ranked_by_loss(
    prepared, tmp_path
):
    (tmp_path / "head.py").write_text(
        "import keras\n\n\ndef build(hp, input_shape, num_classes):\n    return keras.Sequential(["
        "keras.Input(input_shape), keras.layers.Dense(1, hp.get('head'))])\n"
    )
    (tmp_path / "data.py").write_text(
        "import numpy as np\n\n\ndef load():\n    x = np.random.default_rng(0).normal(size=(400, 3))\n"
        "    return x, x.sum(axis=1)\n"
    )
    two = {"model": str(tmp_path / "head.py"), "data": str(tmp_path / "data.py"),
           "search_space": {"head": "choice([linear, relu])"}, "caviar": {"num_samples": 8}}  # fmt: skip
    with pytest.raises(ExperimentFileError, match=r"means the same in all trials, such as val_mae"):
        prepared(metric="val_loss", **two)
    assert "but for a head that bounds its values" in " ".join(prepared(**two).trials.sentences())
    one = two | {"search_space": {"head": "choice([linear, leaky_relu])"}}
    assert prepared(metric="val_loss", **one).plan.metric == "val_loss"
