"""Calibration and the figures of each class, against scikit-learn and against made-up truths."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    brier_score_loss,
    confusion_matrix,
    log_loss,
    multilabel_confusion_matrix,
    precision_recall_fscore_support,
)

from orchestrator.training.calibration import (
    JudgedRows,
    both_classes,
    calibration,
    fit_temperature,
    tempered,
)
from orchestrator.training.calibration import log_loss as ours
from orchestrator.training.final_evaluation.per_class import interval, per_class, residuals


def made(rows=600, classes=4, sharpness=1.0, seed=0, weights=False, rare=0):
    """Rows whose labels are drawn from the true probabilities, answered with logits ``sharpness`` times as large."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (rows, classes))
    logits[:, 0] -= rare
    truth = np.array([rng.choice(classes, p=p) for p in softmax(logits, axis=1)]).astype(float)
    answers = softmax(sharpness * logits, axis=1)
    weight = rng.uniform(0.2, 3, rows) if weights else np.ones(rows)
    return JudgedRows("classes", tuple("abcdefgh"[:classes]), answers, truth, weight)


def flags(rows=400, seed=1, sharpness=1.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(-1, 1.5, (rows, 3))
    truth = (rng.random((rows, 3)) < 1 / (1 + np.exp(-logits))).astype(float)
    answers = 1 / (1 + np.exp(-sharpness * logits))
    return JudgedRows("flags", ("f", "g", "h"), answers, truth, rng.uniform(0.5, 2, rows))


@pytest.mark.parametrize("weights", [False, True])
def test_the_figures_of_each_class_are_scikit_learns(weights):
    rows = made(weights=weights, rare=2)
    guess = rows.answers.argmax(axis=1)
    found = per_class(rows)
    theirs = precision_recall_fscore_support(rows.truth, guess, sample_weight=rows.weight)
    names = ("precision", "recall", "f1", "support")
    for name, values in zip(names, theirs, strict=True):
        np.testing.assert_allclose([one[name] for one in found["classes"]], values, rtol=1e-12)
    matrix = confusion_matrix(rows.truth, guess, sample_weight=rows.weight)
    np.testing.assert_allclose(found["confusion"], matrix, rtol=1e-12)


def test_the_figures_of_flags_are_scikit_learns():
    rows = flags()
    truth, guess = rows.truth.astype(int), (rows.answers > 0.5).astype(int)
    found = per_class(rows)
    theirs = precision_recall_fscore_support(truth, guess, sample_weight=rows.weight)
    for name, values in zip(("precision", "recall", "f1"), theirs, strict=False):
        np.testing.assert_allclose([one[name] for one in found["classes"]], values, rtol=1e-12)
    matrices = multilabel_confusion_matrix(truth, guess, sample_weight=rows.weight)
    np.testing.assert_allclose(found["confusion"], matrices, rtol=1e-12)


def test_what_is_not_defined_is_no_zero():
    answers = np.eye(4)[[0, 0, 1, 0]]  # c is never predicted, d occurs nowhere
    found = per_class(
        JudgedRows("classes", tuple("abcd"), answers, np.array([0, 1, 1, 2.0]), np.ones(4))
    )
    a, b, c, d = found["classes"]
    assert (c["precision"], c["recall"], c["f1"]) == (None, 0.0, 0.0)
    assert (d["precision"], d["recall"], d["f1"], d["support"]) == (None, None, None, 0)
    assert "recall_from" in c and "recall_from" not in d
    assert (a["recall"], b["recall"]) == (1.0, 0.5)


def test_reliability_is_scikit_learns_calibration_curve():
    rows = made(classes=2)
    found = calibration(rows)["reliability"]
    true, sure = calibration_curve(rows.truth, rows.answers[:, 1], n_bins=15, strategy="uniform")
    np.testing.assert_allclose([one["frequency"] for one in found], true)
    np.testing.assert_allclose([one["confidence"] for one in found], sure)
    assert sum(one["rows"] for one in found) == rows.rows


def test_of_several_classes_the_error_is_that_of_the_predicted_one():
    rows = made()
    sure, hit = rows.answers.max(axis=1), rows.answers.argmax(axis=1) == rows.truth
    expected = sum(
        abs(sure[inside].mean() - hit[inside].mean()) * inside.mean()
        for low in range(15)
        if (inside := (sure > low / 15) & (sure <= (low + 1) / 15)).any()
    )
    assert calibration(rows)["ece"] == pytest.approx(expected)


def test_losses_are_scikit_learns():
    rows, two = made(weights=True), made(classes=2, weights=True)
    assert ours(rows) == pytest.approx(
        log_loss(rows.truth, rows.answers, sample_weight=rows.weight)
    )
    brier = brier_score_loss(two.truth, two.answers[:, 1], sample_weight=two.weight)
    assert calibration(two)["brier"] == pytest.approx(brier)


@pytest.mark.parametrize("make", [made, flags])
@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_the_temperature_is_what_the_logits_were_multiplied_by(make, sharpness):
    rows = make(rows=4000, sharpness=sharpness)
    found = fit_temperature(rows)
    assert abs(np.log(found.value / sharpness)) < 4 * found.error
    assert found.error < 0.1


def test_a_temperature_makes_an_overconfident_model_calibrated_and_keeps_its_answers():
    rows = made(rows=3000, sharpness=3)
    value = fit_temperature(rows).value
    after = tempered(rows.answers, "classes", value)
    fresh = made(rows=3000, sharpness=3, seed=9)
    mild = JudgedRows(
        "classes", fresh.names, tempered(fresh.answers, "classes", value), fresh.truth, fresh.weight
    )
    before, now = calibration(fresh), calibration(mild)
    assert before["ece"] > 3 * before["by_chance"]["at_most"]
    assert now["ece"] < now["by_chance"]["at_most"]
    assert (after.argmax(axis=1) == rows.answers.argmax(axis=1)).all()


def test_a_calibrated_model_stays_below_what_chance_allows_in_95_of_100():
    found = [calibration(made(rows=300, seed=seed)) for seed in range(100)]
    within = sum(one["ece"] <= one["by_chance"]["at_most"] for one in found)
    assert 88 <= within <= 100
    mean = np.mean([one["by_chance"]["mean"] for one in found])
    assert np.mean([one["ece"] for one in found]) == pytest.approx(mean, rel=0.1)


def test_a_sigmoid_that_is_1_in_float32_has_a_finite_loss():
    answers = both_classes(np.float32([1.0, 0.0, 0.3]))
    assert np.isfinite(
        ours(JudgedRows("classes", ("n", "y"), answers, np.array([0, 1, 1.0]), np.ones(3)))
    )
    np.testing.assert_allclose(answers[2], [0.7, 0.3], rtol=1e-6)


def test_no_temperature_where_none_is_the_best():
    right = JudgedRows(
        "classes", ("a", "b"), np.tile([0.9, 0.1], (50, 1)), np.zeros(50), np.ones(50)
    )
    assert fit_temperature(right).value is None
    assert "no validation row is wrong" in fit_temperature(right).why
    assert "too few" in fit_temperature(right.take(slice(0, 5))).why
    rng = np.random.default_rng(0)
    wrong = rng.dirichlet([0.5, 0.5], 400)
    nonsense = JudgedRows(
        "classes", ("a", "b"), wrong, (wrong[:, 0] > 0.5).astype(float), np.ones(400)
    )
    assert "say nothing" in fit_temperature(nonsense).why


def imbalanced(recall, rare=30, common=600, seed=0):
    """Two common classes that are mostly right; a rare one of which ``recall`` are, the rest taken for the first."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 2], [common, common // 2, rare])
    guess = truth.copy()
    lost = rng.random(len(truth)) < np.where(truth == 2, 1 - recall, 0.05)
    guess[lost] = np.where(truth[lost] == 0, 1, 0)
    names = ("healthy", "flu", "none of the above")
    return JudgedRows("classes", names, np.eye(3)[guess], truth.astype(float), np.ones(len(truth)))


def test_a_rare_class_that_fails_is_named_with_where_its_rows_went():
    [found] = per_class(imbalanced(0.2))["failing"]
    assert found["class"] == "none of the above"
    assert found["recall_to"] < found["others"]
    assert (found["taken_for"], found["largest"]) == ("healthy", True)
    assert not found["never_predicted"]
    [never] = per_class(imbalanced(0.0))["failing"]
    assert never["never_predicted"]


def test_a_class_is_not_named_for_bad_luck():
    named = [per_class(imbalanced(0.95, rare=8, seed=seed))["failing"] for seed in range(200)]
    assert sum(map(bool, named)) <= 10  # 5 in 100
    assert per_class(imbalanced(0.0, rare=1))["failing"] == []


def test_all_rows_one_class_fails_the_others():
    rows = imbalanced(0.9)
    one = JudgedRows(
        "classes", rows.names, np.tile([1.0, 0, 0], (rows.rows, 1)), rows.truth, rows.weight
    )
    failing = per_class(one)["failing"]
    assert {found["class"] for found in failing} == {"flu", "none of the above"}
    assert all(found["never_predicted"] and found["largest"] for found in failing)


def test_the_interval_of_a_recall_covers_it():
    rng = np.random.default_rng(0)
    for share, rows in ((0.5, 30), (0.9, 60), (0.05, 100)):
        hits = rng.binomial(rows, share, 2000)
        inside = [low <= share <= high for low, high in (interval(h / rows, rows) for h in hits)]
        assert np.mean(inside) > 0.92


def test_residuals_are_in_their_own_unit():
    truth = np.zeros((200, 1))
    answers = np.linspace(-1, 3, 200)[:, None]
    [found] = residuals(JudgedRows("quantities", ("prediction",), answers, truth, np.ones(200)))
    assert (found["mean"], found["median"]) == (pytest.approx(1), pytest.approx(1))
    assert found["quantile_95"] == pytest.approx(2.8)
