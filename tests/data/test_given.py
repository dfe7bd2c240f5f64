from __future__ import annotations

import numpy as np
import pytest

from orchestrator.errors import DataError

X = np.arange(40.0).reshape(20, 2)
Y = np.arange(20) % 2


def test_arrays_keep_their_shape(npz):
    data = npz(x=np.ones((20, 5, 4), np.uint8), y=Y)
    assert data.input_shape == (5, 4)
    assert data.source == "./rows.npz"
    assert data.columns == ()


def test_the_names_may_be_in_capitals_and_others_are_left_alone(npz):
    assert npz(X=X, Y=Y, names=np.array(["a"])).num_classes == 2


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "x without y"),
        ({"y": Y}, "y without x"),
        ({"x_train": X, "y_train": Y, "x_tset": X}, r"'x_tset'\. Did you mean 'x_test'\?"),
        ({"x_test": X, "y_test": Y}, "arrays called 'x_test', 'y_test'"),
        ({"features": X}, "arrays called 'features'"),
        ({"x": X, "y": Y, "x_train": X, "y_train": Y}, "one array of train features"),
        ({}, "Received: nothing"),
        ({"x": X[:0], "y": Y[:0]}, r"x with rows.*\(0, 2\)"),
        ({"x": X[:, 0], "y": Y}, r"x of shape \(rows, features\.\.\.\).*\(20,\)"),
        ({"x": X.astype(str), "y": Y}, "numbers were expected in x"),
        ({"x": X * 1j, "y": Y}, "values of type complex128"),
        ({"x": np.where(X == 6, np.nan, X), "y": Y}, "1 that are NaN.*row 3, column 0"),
        ({"x": np.where(X > 30, np.inf, X), "y": Y}, "9 that are NaN or inf.*row 15, column 1"),
        ({"x": np.where(X == 5, 1e300, X), "y": Y}, "1 that are NaN or inf.*row 2, column 1"),
        (
            {"x_train": X, "y_train": Y, "x_test": X[:, :1], "y_test": Y},
            r"one shape in all splits.*train \(2,\), test \(1,\)",
        ),
        ({"x": X.astype(object), "y": Y}, r"y\.astype\(str\).*pickled Python objects"),
    ],
)
def test_arrays_that_cannot_be_used_are_refused_in_one_sentence(npz, arrays, message):
    with pytest.raises(DataError, match=message) as caught:
        npz(**arrays)
    assert "\n" not in str(caught.value)


def test_an_infinite_pixel_is_placed_by_all_its_indices(npz):
    x = np.zeros((20, 3, 3, 1))
    x[4, 1, 2, 0] = np.inf
    with pytest.raises(DataError, match=r"row 4, column \(1, 2, 0\)"):
        npz(x=x, y=Y)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04broken", b"\x93NUMPY"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, load, content):
    (tmp_path / "rows.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"an \.npz archive was expected") as caught:
        load("./rows.npz")
    assert "\n" not in str(caught.value)


def test_a_single_array_is_no_archive(tmp_path, load):
    with (tmp_path / "rows.npz").open("wb") as file:
        np.save(file, X)
    with pytest.raises(DataError, match="which is none"):
        load("./rows.npz")


def test_options_that_arrays_do_not_have_are_refused(npz):
    with pytest.raises(DataError, match=r"data\.label.*'species'"):
        npz(x=X, y=Y, options={"label": "species"})
    with pytest.raises(DataError, match=r"data\.stream"):
        npz(x=X, y=Y, options={"stream": True})


def test_the_fingerprint_is_of_the_content_alone(npz):
    first = npz(x=X, y=Y).fingerprint
    assert len(first) == 64
    assert npz(3, {"scale": "minmax", "test": 0.4}, x=X, y=Y).fingerprint == first
    assert npz(x=np.asfortranarray(X).astype(">f8"), y=Y).fingerprint == first
    others = [
        npz(x=X + 1e-9, y=Y),
        npz(x=X, y=1 - Y),
        npz(x=X, y=Y + 1),
        npz(x=X[:, :, None], y=Y),
        npz(x=X.astype(np.float32), y=Y),
        npz(x_train=X, y_train=Y, x_test=X, y_test=Y),
    ]
    assert len({first, *(data.fingerprint for data in others)}) == 7


def test_the_fingerprint_of_known_arrays_stays_what_it_was(npz):
    assert npz(x=X, y=Y).fingerprint.startswith("12eabd68b1d4d245")


def test_the_users_own_arrays_are_left_as_they_were(function):
    data = function(
        "x = np.ones((20, 2)) * 5; load.x = x; x.flags.writeable = False\n"
        "return x, np.arange(20) % 2"
    )
    assert not data.train.x.any()


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        ("return np.ones((20, 2)), np.arange(20) % 2", (12, 4, 4)),
        ("return [np.ones((20, 2)), np.arange(20) % 2]", (12, 4, 4)),
        ("p = np.ones((20, 2)), np.arange(20) % 2\nreturn p, p", (16, 4, 20)),
        ("p = np.ones((20, 2)), np.arange(20) % 2\nreturn p, p, p", (20, 20, 20)),
        (
            "p = np.ones((20, 2)), np.arange(20) % 2\nreturn {'train': p, 'validation': p}",
            (16, 20, 4),
        ),
        ("return {'x': np.ones((20, 2)), 'y': np.arange(20) % 2}", (12, 4, 4)),
        ("return [[1, 2]] * 20, [0, 1] * 10", (12, 4, 4)),
        (
            "import pandas as pd\n"
            "return pd.DataFrame({'a': range(20)}), pd.Series(['u', 'v'] * 10)",
            (12, 4, 4),
        ),
    ],
)
def test_a_function_may_return_arrays_in_every_usual_way(function, body, sizes):
    data = function(body)
    assert (data.train.rows, data.validation.rows, data.test.rows) == sizes


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return None", "Received: NoneType"),
        ("return np.ones(3)", "Received: ndarray"),
        ("return 1, 2, 3", "a tuple of int, int, int"),
        ("return (1, 2), 3", "a tuple of tuple, int"),
        ("return {}", "Received: nothing"),
        ("return {'train': (1, 2), 'tets': (1, 2)}", "Did you mean 'test'"),
        ("return {'test': (1, 2)}", "a train set was expected"),
        ("return [[1, 2], [3]], [0, 1]", "rows of one shape"),
        ("return {}['x']", r"its code raised KeyError: 'x' \(load\.py line 4, in load\)"),
        ("raise SystemError", r"raised SystemError \(load\.py line 4"),
    ],
)
def test_a_function_that_returns_or_raises_otherwise_is_a_data_error(function, body, message):
    with pytest.raises(DataError, match=message) as caught:
        function(body)
    assert "\n" not in str(caught.value)
