from __future__ import annotations

import numpy as np
import pytest

from orchestrator.data.splits import assign_rows
from orchestrator.errors import DataError


def places(split):
    """Return which original rows a split holds; column 0 of the features is the row's number."""
    return [int(number) for number in split.x[:, 0]]


def numbered(count, classes):
    return np.arange(count, dtype=float)[:, None] * [1, 1], np.arange(count) % classes


def test_every_row_is_in_one_split_in_the_shares_asked_for(npz):
    x, y = numbered(200, 4)
    data = npz(x=x, y=y, options={"scale": "none", "validation": 0.3, "test": 0.1})
    splits = [data.train, data.validation, data.test]
    assert sorted(row for split in splits for row in places(split)) == list(range(200))
    assert [split.rows for split in splits] == [120, 60, 20]


def test_each_class_has_its_share_in_each_split(npz, rows):
    data = npz(x=rows[0], y=rows[1])
    assert np.bincount(data.train.y).tolist() == [36, 24, 12]
    assert np.bincount(data.validation.y).tolist() == [12, 8, 4]
    assert np.bincount(data.test.y).tolist() == [12, 8, 4]


def test_a_seed_decides_the_split(npz):
    x, y = numbered(60, 3)
    first, again, other = (
        places(npz(seed, {"scale": "none"}, x=x, y=y).train) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_the_split_of_a_seed_stays_what_it_was():
    codes = np.arange(12) % 3
    assignment = assign_rows(codes, "abc", {"validation": 0.25, "test": 0.25}, 0, "data")
    assert assignment.tolist() == [0, 0, 1, 1, 0, 0, 0, 1, 2, 2, 2, 0]


def test_only_the_splits_that_are_not_given_are_cut(npz):
    x, y = numbered(50, 2)
    given = {"x_train": x, "y_train": y, "x_test": x + 100, "y_test": y}
    data = npz(options={"scale": "none"}, **given)
    assert places(data.test) == list(range(100, 150))
    assert [data.train.rows, data.validation.rows] == [40, 10]
    data = npz(options={"scale": "none"}, **given, x_val=x + 200, y_val=y)
    assert [data.train.rows, data.validation.rows, data.test.rows] == [50, 50, 50]


def test_small_classes_have_a_row_in_every_split(npz):
    y = np.repeat([0, 1, 2], [30, 3, 4])
    data = npz(x=np.ones((37, 1)), y=y, options={"validation": 0.45, "test": 0.45})
    for split in (data.train, data.validation, data.test):
        assert set(split.y.tolist()) == {0, 1, 2}


def test_a_class_with_fewer_rows_than_splits_is_named(npz):
    y = np.array(["many"] * 10 + ["few"] * 2)
    with pytest.raises(DataError, match=r"at least 3 rows of each class.*class 'few' has 2"):
        npz(x=np.ones((12, 1)), y=y)


def test_a_class_may_be_too_rare_to_be_among_the_rows_that_judge(npz):
    x, y = numbered(20, 2)
    more = np.where(np.arange(20) < 3, 2, y)
    data = npz(x_train=x, y_train=more, x_test=x, y_test=y, options={"task": "classification"})
    assert data.labels.classes == ("0", "1", "2")
    assert set(data.test.y.tolist()) == {0, 1}


def test_a_class_without_rows_to_learn_from_is_named_with_the_split_that_has_it(npz):
    x, y = numbered(20, 2)
    asked = {"task": "classification"}
    more = np.where(np.arange(20) < 3, 2, y)
    with pytest.raises(DataError, match=r"class '2' has 3 rows in test and none in train"):
        npz(x_train=x, y_train=y, x_test=x, y_test=more, options=asked)
    with pytest.raises(DataError, match=r"class '2' has 3 rows in validation and none in train"):
        npz(x_train=x, y_train=y, x_validation=x, y_validation=more, options=asked)
