from __future__ import annotations

import numpy as np
import pytest

from orchestrator.errors import DataError

X = np.arange(24.0).reshape(12, 2)
THREE = np.tile([0, 1, 2], 4)


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (np.tile([3, 9, 7], 4), ("3", "7", "9")),
        (np.tile([-1, 1], 6), ("-1", "1")),
        (np.tile([10, 9], 6), ("9", "10")),
        (np.tile([2.0, 1.0], 6), ("1", "2")),
        (np.tile([True, False], 6), ("False", "True")),
        (np.tile(["dog", "ant", "cat"], 4), ("ant", "cat", "dog")),
        (np.tile([b"dog", b"cat"], 6), ("cat", "dog")),
        (np.eye(3)[THREE], ("0", "1", "2")),
        (np.eye(3, dtype=np.int8)[THREE], ("0", "1", "2")),
        (np.eye(2, dtype=bool)[THREE % 2], ("0", "1")),
        (THREE[:, None], ("0", "1", "2")),
        (THREE.astype(np.uint8), ("0", "1", "2")),
    ],
)
def test_labels_of_every_usual_form_become_class_numbers(npz, y, classes):
    data = npz(x=X, y=y, options={"scale": "none"})
    assert data.classes == classes
    assert data.num_classes == len(classes)
    for split in (data.train, data.validation, data.test):
        originals = y[(split.x[:, 0] / 2).astype(int)]
        if originals.ndim == 2 and originals.shape[1] > 1:
            assert split.y.tolist() == originals.argmax(axis=1).tolist()
        else:
            names = [v.decode() if isinstance(v, bytes) else str(v) for v in originals.ravel()]
            names = [name.removesuffix(".0") for name in names]
            assert [classes[code] for code in split.y] == names


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.linspace(0, 1, 12), r"not quantities\. Received: labels such as 0\.09"),
        (np.where(THREE == 1, np.nan, THREE), r"a label for every row.*4 that are NaN"),
        (np.where(THREE == 1, np.inf, THREE), r"a label for every row.*4 that are NaN or inf"),
        (np.zeros(12), "at least two classes were expected. Received: one class, '0'"),
        (np.ones((12, 2)), r"one-hot.*shape \(12, 2\) with rows that are not one 1 among 0s"),
        (np.full((12, 3), 1 / 3), "not one 1 among 0s"),
        (np.zeros((12, 2, 2)), r"shape \(rows,\).*shape \(12, 2, 2\)"),
        (np.array([["a", "b"]] * 12), r"one-hot.*labels of shape \(12, 2\)"),
        (np.zeros(11), r"as many labels as rows.*x of shape \(12, 2\) and y of shape \(11,\)"),
        (np.array(5), "as many labels as rows"),
        (np.zeros(12, complex), "labels of numbers, texts or booleans were expected.*complex128"),
    ],
)
def test_labels_that_are_no_classes_are_refused_in_one_sentence(npz, y, message):
    with pytest.raises(DataError, match=message) as caught:
        npz(x=X, y=y, options={"task": "classification"})
    assert str(caught.value).startswith("data ./rows.npz")
    assert "\n" not in str(caught.value)


def test_splits_with_labels_of_two_forms_are_refused(npz):
    with pytest.raises(DataError, match=r"one form in all splits.*integers and strings"):
        npz(x_train=X, y_train=THREE, x_test=X, y_test=np.tile(["a", "b"], 6))
    with pytest.raises(DataError, match=r"one form in all splits.*\(3,\)"):
        npz(x_train=X, y_train=np.eye(3)[THREE], x_test=X, y_test=np.eye(4)[THREE])


def test_labels_of_python_objects_are_read_from_a_function(function):
    assert function("return np.ones((9, 2)), ['a', 'b', 'c'] * 3").classes == ("a", "b", "c")
    with pytest.raises(DataError, match=r"a label for every row.*3 that are missing"):
        function("return np.ones((9, 2)), np.array(['a', 'b', None] * 3, dtype=object)")
    with pytest.raises(DataError, match=r"labels of one type were expected. Received: int and str"):
        function("return np.ones((9, 2)), np.array(['a', 'b', 3] * 3, dtype=object)")


def test_a_one_hot_class_without_rows_is_named(npz):
    with pytest.raises(DataError, match="class '3' has 0"):
        npz(x=X, y=np.eye(4)[THREE], options={"task": "classification"})
