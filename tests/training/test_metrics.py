"""Metrics by name have scikit-learn's values on the same predictions."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sk

from orchestrator.config.metrics import BY_TASK
from orchestrator.errors import ExperimentFileError, TrialError
from orchestrator.training.compiling import RSquared
from orchestrator.training.metric_states import Form
from orchestrator.training.metrics import make_metrics

BATCH = 37  # the last one is partial


def value(metric, y, p, w=None):
    """The metric after batches, updated inside a traced loop as evaluation does it."""
    metric.reset_state()
    weights = np.ones(len(y)) if w is None else w
    step = tf.function(metric.update_state, reduce_retracing=True, autograph=False)
    for at in range(0, len(y), BATCH):
        part = slice(at, at + BATCH)
        step(*(tf.constant(array[part]) for array in (y, p, weights)))
    return float(metric.result())


def one(name, kind, classes, **options):
    [metric] = make_metrics([name], Form(kind, classes, **options))
    return metric


def softmax(logits):
    return tf.nn.softmax(logits.astype("float32")).numpy()


def data(kind, seed=0, rows=200):
    rng = np.random.default_rng(seed)
    w = rng.uniform(0.1, 2, rows)
    if kind == "classification":
        y = rng.choice(5, rows, p=[0.4, 0.3, 0.2, 0.07, 0.03])
        return y, softmax(rng.normal(size=(rows, 5)) + 1.5 * np.eye(5)[y]), w
    if kind == "binary":
        y = rng.choice(2, rows, p=[0.7, 0.3])
        p = 1 / (1 + np.exp(-(rng.normal(size=rows) + 1.5 * y - 1)))
        return y, np.round(p, 2).astype("float32"), w  # rounded: with ties
    if kind == "multilabel":
        y = rng.random((rows, 3)) < [0.2, 0.5, 0.7]
        return (
            y.astype("float32"),
            np.round(rng.random((rows, 3)) * 0.6 + 0.4 * y, 2).astype("f4"),
            w,
        )
    y = rng.normal(1000, [1, 30], (rows, 2))
    return y, (y + rng.normal(0.3, [0.5, 20], (rows, 2))).astype("float32"), w


def averaged(function, average):
    return lambda y, p, w: function(y, p, sample_weight=w, average=average, zero_division=0)


def of_guess(function, **options):
    return lambda y, p, w: function(y, p.argmax(1), sample_weight=w, **options)


def mean_ap(y, p, w):
    return sk.average_precision_score(np.eye(p.shape[1])[y], p, sample_weight=w)


def guessed(function):
    return lambda y, p, w: function(y, p.argmax(1), w)


SCIKIT = {
    "classification": {
        "accuracy": of_guess(sk.accuracy_score),
        "balanced_accuracy": of_guess(sk.balanced_accuracy_score),
        "precision": guessed(averaged(sk.precision_score, "macro")),
        "recall": guessed(averaged(sk.recall_score, "macro")),
        "f1": guessed(averaged(sk.f1_score, "macro")),
        "macro_precision": guessed(averaged(sk.precision_score, "macro")),
        "macro_recall": guessed(averaged(sk.recall_score, "macro")),
        "macro_f1": guessed(averaged(sk.f1_score, "macro")),
        "micro_f1": guessed(averaged(sk.f1_score, "micro")),
        "weighted_f1": guessed(averaged(sk.f1_score, "weighted")),
        "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w, labels=range(p.shape[1])),
        "mcc": of_guess(sk.matthews_corrcoef),
        "cohen_kappa": of_guess(sk.cohen_kappa_score),
        "auc": lambda y, p, w: sk.roc_auc_score(np.eye(5)[y], p, sample_weight=w),
        "macro_auc": lambda y, p, w: sk.roc_auc_score(np.eye(5)[y], p, sample_weight=w),
        "average_precision": mean_ap,
        "top_5_accuracy": lambda y, p, w: 1.0,
        "top_2_accuracy": lambda y, p, w: sk.top_k_accuracy_score(y, p, k=2, sample_weight=w),
    },
    "binary": {
        "precision": lambda y, p, w: sk.precision_score(y, p > 0.5, sample_weight=w),
        "recall": lambda y, p, w: sk.recall_score(y, p > 0.5, sample_weight=w),
        "f1": lambda y, p, w: sk.f1_score(y, p > 0.5, sample_weight=w),
        "accuracy": lambda y, p, w: sk.accuracy_score(y, p > 0.5, sample_weight=w),
        "balanced_accuracy": lambda y, p, w: sk.balanced_accuracy_score(
            y, p > 0.5, sample_weight=w
        ),
        "macro_precision": lambda y, p, w: averaged(sk.precision_score, "macro")(y, p > 0.5, w),
        "macro_recall": lambda y, p, w: averaged(sk.recall_score, "macro")(y, p > 0.5, w),
        "macro_f1": lambda y, p, w: averaged(sk.f1_score, "macro")(y, p > 0.5, w),
        "micro_f1": lambda y, p, w: averaged(sk.f1_score, "micro")(y, p > 0.5, w),
        "weighted_f1": lambda y, p, w: averaged(sk.f1_score, "weighted")(y, p > 0.5, w),
        "log_loss": lambda y, p, w: sk.log_loss(y, p, sample_weight=w),
        "auc": lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w),
        "macro_auc": lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w),
        "average_precision": lambda y, p, w: sk.average_precision_score(y, p, sample_weight=w),
        "mcc": lambda y, p, w: sk.matthews_corrcoef(y, p > 0.5, sample_weight=w),
        "cohen_kappa": lambda y, p, w: sk.cohen_kappa_score(y, p > 0.5, sample_weight=w),
    },
    "multilabel": {
        "exact_match": lambda y, p, w: sk.accuracy_score(y, p > 0.5, sample_weight=w),
        "hamming_loss": lambda y, p, w: sk.hamming_loss(y, p > 0.5, sample_weight=w),
        "precision": lambda y, p, w: averaged(sk.precision_score, "macro")(y, p > 0.5, w),
        "recall": lambda y, p, w: averaged(sk.recall_score, "macro")(y, p > 0.5, w),
        "f1": lambda y, p, w: averaged(sk.f1_score, "macro")(y, p > 0.5, w),
        "macro_precision": lambda y, p, w: averaged(sk.precision_score, "macro")(y, p > 0.5, w),
        "macro_recall": lambda y, p, w: averaged(sk.recall_score, "macro")(y, p > 0.5, w),
        "macro_f1": lambda y, p, w: averaged(sk.f1_score, "macro")(y, p > 0.5, w),
        "micro_f1": lambda y, p, w: averaged(sk.f1_score, "micro")(y, p > 0.5, w),
        "weighted_f1": lambda y, p, w: averaged(sk.f1_score, "weighted")(y, p > 0.5, w),
        "auc": lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w),
        "macro_auc": lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w),
        "average_precision": lambda y, p, w: sk.average_precision_score(y, p, sample_weight=w),
    },
    "regression": {
        "mae": lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w),
        "mse": lambda y, p, w: sk.mean_squared_error(y, p, sample_weight=w),
        "rmse": lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w),
        "mape": lambda y, p, w: sk.mean_absolute_percentage_error(y, p, sample_weight=w),
        "r2": lambda y, p, w: sk.r2_score(y, p, sample_weight=w),
        "explained_variance": lambda y, p, w: sk.explained_variance_score(y, p, sample_weight=w),
    },
}
CASES = [(kind, name) for kind, names in SCIKIT.items() for name in names]
WIDTH = {"classification": 5, "binary": 2, "multilabel": 3, "regression": 2}


def test_every_metric_of_every_task_is_compared():
    assert all(BY_TASK[kind] <= {*names} for kind, names in SCIKIT.items())


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize(("kind", "name"), CASES)
def test_the_value_is_scikit_learns(kind, name, weighted):
    y, p, w = data(kind)
    w = w if weighted else None
    expected = SCIKIT[kind][name](y, p, w)
    assert value(one(name, kind, WIDTH[kind]), y, p, w) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("name", sorted(BY_TASK["classification"]))
def test_one_hot_labels_and_logits_give_the_same(name):
    rng = np.random.default_rng(3)
    y = rng.integers(0, 5, 150)
    logits = (rng.normal(size=(150, 5)) + np.eye(5)[y]).astype("float32")
    plain = value(one(name, "classification", 5), y, softmax(logits))
    one_hot = np.eye(5, dtype="float32")[y]
    logit = value(one(name, "classification", 5, from_logits=True), one_hot, logits)
    assert logit == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize("name", sorted(BY_TASK["binary"]))
def test_a_sigmoid_unit_its_logit_and_two_softmax_units_give_the_same(name):
    y, p, _ = data("binary")
    p = p.clip(0.01, 0.99)
    plain = value(one(name, "binary", 2), y, p[:, None])
    logit = np.log(p / (1 - p)).astype("float32")
    assert value(one(name, "binary", 2), y[:, None], np.stack([1 - p, p], 1)) == pytest.approx(
        plain
    )
    if name not in ("auc", "macro_auc", "average_precision"):  # a sigmoid makes ties of its own
        found = value(one(name, "binary", 2, from_logits=True), y, logit)
        assert found == pytest.approx(plain, rel=1e-4)


def test_classes_that_no_row_has_do_not_count():
    y, p, _ = data("classification")
    y = np.where(y == 4, 0, y)
    present = np.eye(5)[y][:, :4]
    assert value(one("macro_auc", "classification", 5), y, p) == pytest.approx(
        sk.roc_auc_score(present, p[:, :4])
    )
    assert value(one("balanced_accuracy", "classification", 5), y, p) == pytest.approx(
        sk.recall_score(y, p.argmax(1), labels=[0, 1, 2, 3], average="macro")
    )


def test_large_quantities_that_hardly_vary_have_their_r2():
    rng = np.random.default_rng(0)
    y = 1e7 + rng.normal(size=(500, 1))
    p = (1e7 + 0.5 * (y - 1e7)).astype("float64")
    expected = sk.r2_score(y, p.astype("float32"))
    assert value(one("r2", "regression", 1), y, p) == pytest.approx(expected, rel=1e-9)


def test_the_r2_of_a_regression_is_scikit_learns_for_large_quantities_that_hardly_vary():
    y = (1e5 + np.random.default_rng(0).normal(size=(500, 2))).astype("float32")
    p = (y + 0.25 * np.sin(np.arange(500))[:, None]).astype("float32")
    metric = RSquared(columns=2)
    for at in range(0, 500, BATCH):
        metric.update_state(y[at : at + BATCH], p[at : at + BATCH])
    assert float(metric.result()) == pytest.approx(
        sk.r2_score(y.astype("float64"), p.astype("float64")), rel=1e-6
    )


def test_quantities_that_do_not_vary_have_an_r2_as_in_scikit_learn():
    y = np.full((50, 1), 2.0)
    assert value(one("r2", "regression", 1), y, y.astype("float32")) == 1.0
    assert value(one("r2", "regression", 1), y, (y + 1).astype("float32")) == 0.0


def test_a_validation_begins_with_nothing():
    for name in ("auc", "macro_f1", "log_loss"):
        metric = one(name, "classification", 5)
        first = value(metric, *data("classification")[:2])
        assert value(metric, *data("classification")[:2]) == first


def test_a_name_of_another_task_is_refused_with_those_there_are():
    with pytest.raises(
        ExperimentFileError, match=r"expected a metric of regression.*'macro_f1'.*mae"
    ):
        make_metrics(["macro_f1"], Form("regression", 1))
    with pytest.raises(ExperimentFileError, match="Did you mean 'macro_f1'"):
        make_metrics(["macr_f1"], Form("classification", 3))


def test_labels_that_are_no_class_numbers_are_no_silent_zero():
    y, p, _ = data("binary")
    with pytest.raises(tf.errors.InvalidArgumentError, match="numbered from 0"):
        value(one("auc", "binary", 2), 2 * y - 1, p)


def test_outputs_of_another_form_are_refused():
    with pytest.raises(TrialError, match="expected 5 output units"):
        value(one("auc", "classification", 5), np.zeros(9, int), np.zeros((9, 4), "float32"))
    with pytest.raises(TrialError, match="one output"):
        one("auc", "classification", 5).update_state({"a": np.zeros(9)}, [np.zeros((9, 5))])
