from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer

from orchestrator.drift.profile import Profile, significant
from orchestrator.drift.shifts import _spreads, shifts

X, Y = load_breast_cancer(return_X_y=True)
X = X[:, :10]
HALF = np.random.default_rng(0).permutation(len(X))
THEN, TODAY = HALF[:284], HALF[284:]


def profile(x, y, **more):
    labels = np.asarray(y).astype(str)
    names = tuple(f"f{at}" for at in range(x.shape[1]))
    return Profile(
        names, significant(x), {}, labels, "classes", Counter(labels.tolist()), len(x), **more
    )


def of_then():
    return profile(X[THEN], Y[THEN]).kept()


def named(x, y):
    return {found.what: found for found in shifts(of_then(), profile(x, y))}


def test_nothing_changed_names_nothing():
    assert named(X[TODAY], Y[TODAY]) == {}


def test_pixels_that_are_mostly_black_are_not_found_wider_by_chance():
    rng = np.random.default_rng(0)
    both = (rng.poisson(rng.gamma(0.15, 2.5, (360, 600))).astype(float) for _ in "ab")
    assert (_spreads(*both)[1] < 0.01).mean() < 0.02


def test_noise_is_named_as_such():
    noise = np.random.default_rng(1).normal(size=X[TODAY].shape) * X.std(axis=0)
    found = named(X[TODAY] + noise, Y[TODAY])
    assert "noisier" in found["features"].said or "less together" in found["features"].said


def test_features_that_moved_are_named():
    x = X[TODAY].copy()
    x[:, 3] += 2 * x[:, 3].std()
    found = named(x, Y[TODAY])["features"]
    assert found.names == ("f3",)
    assert "moved by +" in found.said


def test_a_permuted_feature_is_named_though_its_values_are_the_same():
    x = X[TODAY].copy()
    x[:, 7] = np.random.default_rng(2).permutation(x[:, 7])
    found = named(x, Y[TODAY])["features"]
    assert found.names == ("f7",)
    assert "permuted?" in found.said


def test_labels_flipped_in_a_third_are_a_concept_and_no_feature():
    flipped = np.random.default_rng(3).random(len(TODAY)) < 1 / 3
    found = named(X[TODAY], np.where(flipped, 1 - Y[TODAY], Y[TODAY]))
    assert "concept" in found
    assert "features" not in found


def test_rows_that_are_in_both_tell_of_other_labels():
    flipped = np.random.default_rng(3).random(len(THEN)) < 1 / 3
    found = named(X[THEN], np.where(flipped, 1 - Y[THEN], Y[THEN]))
    assert "have another label now" in found["concept"].said or "otherwise" in found["concept"].said


def test_another_balance_is_one_of_labels_and_not_of_features():
    kept = (Y[TODAY] == 1) | (np.arange(len(TODAY)) % 4 == 0)
    found = named(X[TODAY][kept], Y[TODAY][kept])
    assert set(found) == {"class balance"}


@pytest.mark.parametrize(("word", "then", "today"), [("new", 2, 3), ("lost", 3, 2)])
def test_classes_that_came_or_went_are_named(word, then, today):
    three = np.where(np.arange(len(X)) % 5 == 0, 7, Y)
    labels = {2: Y, 3: three}
    old, new = profile(X[THEN], labels[then][THEN]), profile(X[TODAY], labels[today][TODAY])
    found = {each.what: each for each in shifts(old, new)}
    assert found[f"{word} class"].names == ("7",)


def test_a_column_of_texts_with_other_texts_is_named():
    rng = np.random.default_rng(0)
    old, new = (
        Profile((), np.zeros((200, 0)), {"soil": rng.choice(soils, 200)}, None, "other", {}, 200)
        for soils in (["sand", "loam"], ["sand", "peat"])
    )
    (found,) = [each for each in shifts(old, new) if each.names]
    assert found.names == ("soil",)
    assert "not seen before: peat" in found.said


def test_quantiles_alone_still_name_features_that_moved():
    old = profile(X[THEN], Y[THEN]).kept(rows=0)
    assert old.rows == 0
    x = X[TODAY].copy()
    x[:, 3] += 2 * x[:, 3].std()
    found = {each.what: each for each in shifts(old, profile(x, Y[TODAY]))}
    assert found["features"].names == ("f3",)


def test_what_is_kept_comes_back_as_it_was_and_holds_no_pickle():
    old = of_then()
    back = Profile.from_bytes(old.to_bytes())
    assert np.array_equal(back.numbers, significant(old.numbers.astype(np.float32).astype(float)))
    assert (back.names, back.counts, back.labels.tolist()) == (
        old.names,
        old.counts,
        old.labels.tolist(),
    )
    with pytest.raises(ValueError, match=r"."):
        Profile.from_bytes(b"no archive")
