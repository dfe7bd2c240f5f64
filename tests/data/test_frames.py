"""What a loader may return beside arrays: frames of pandas, pyarrow tables, sparse matrices."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.data import trees
from orchestrator.errors import DataError

HEAD = """import pandas as pd
count = 60
x = pd.DataFrame({
    "length": np.arange(count) / 7,
    "petals": np.arange(count) % 5,
    "wild": np.arange(count) % 2 == 0,
    "colour": np.tile(["red", "blue", "white"], 20),
}, index=np.arange(count) * 3 + 1)
y = pd.Series(np.repeat(["rose", "lily", "iris"], 20))
"""
COLUMNS = ("length", "petals", "wild", "colour=blue", "colour=red", "colour=white")


@pytest.mark.parametrize(
    ("tail", "options", "sizes"),
    [
        ("return x, y", {}, (36, 12, 12)),
        ("return x, y.tolist()", {}, (36, 12, 12)),
        ("return x, y.to_frame()", {}, (36, 12, 12)),
        ("return x, y.astype('category')", {}, (36, 12, 12)),
        ("return x.assign(colour=x.colour.astype('category')), y", {}, (36, 12, 12)),
        ("return {'x': x, 'y': y}", {}, (36, 12, 12)),
        ("return x.assign(y=y.values)", {"label": "y"}, (36, 12, 12)),
        ("f = x.assign(y=y.values)\nreturn f, f", {"label": "y"}, (48, 12, 60)),
        ("f = x.assign(y=y.values)\nreturn f, f[f.columns[::-1]], f", {"label": "y"}, (60, 60, 60)),
        ("f = x.assign(y=y.values)\nreturn {'train': f, 'test': f}", {"label": "y"}, (48, 12, 60)),
        ("return (x, y), (x, y)", {}, (48, 12, 60)),
        ("import pyarrow as pa\nreturn pa.Table.from_pandas(x, preserve_index=False), y", {}, (36, 12, 12)),
    ],
)  # fmt: skip
def test_a_frame_is_handled_as_a_table(function, tail, options, sizes):
    data = function(HEAD + tail, scale="none", **options)
    assert data.columns == COLUMNS
    assert data.classes == ("iris", "lily", "rose")
    assert (data.train.rows, data.validation.rows, data.test.rows) == sizes
    assert [column.name for column in data.table.columns] == ["length", "petals", "wild", "colour"]
    for split in (data.train, data.validation, data.test):
        for row, code in zip(split.x, split.y, strict=True):
            number = round(float(row[0]) * 7)
            assert row[1:3].tolist() == [number % 5, number % 2 == 0]
            assert (
                COLUMNS[3 + int(row[3:].argmax())]
                == "colour=" + ["red", "blue", "white"][number % 3]
            )
            assert data.classes[code] == ["rose", "lily", "iris"][number // 20]


def test_a_frame_and_its_parquet_file_give_the_same_rows(function, load, tmp_path):
    frame = function(
        HEAD + f"f = x.assign(y=y.values)\nf.to_parquet({str(tmp_path / 'f.parquet')!r})\nreturn f",
        label="y",
    )
    file = load("./f.parquet", label="y")
    assert np.array_equal(frame.train.x, file.train.x)
    assert frame.fingerprint == file.fingerprint


def test_what_is_fitted_on_frames_is_of_the_training_rows(function):
    tail = "t = x.assign(colour='mauve', length=x.length * 1000)\nreturn (x, y), (x, y), (t, y)"
    data = function(HEAD + tail)
    assert data.columns == COLUMNS
    assert np.allclose(data.train.x.mean(axis=0), 0, atol=1e-5)
    assert data.test.x[:, 0].mean() > 1000


def test_gaps_of_a_frame_are_named_and_filled(function):
    body = HEAD + "x.loc[1:7, 'length'] = None\nx.loc[4, 'colour'] = None\nreturn x, y"
    with pytest.raises(DataError, match=r"3 in column 'length', 1 in column 'colour'"):
        function(body)
    assert function(body, missing="median").columns == COLUMNS


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("x['when'] = pd.Timestamp('2020-01-01')\nreturn x, y", r"'when' \(timestamp.*data\.drop: \[when\]"),
        ("x['items'] = [[1, 2]] * count\nreturn x, y", r"column 'items': numbers, text.*list objects"),
        ("x['z'] = 1j\nreturn x, y", r"column 'z'.*complex"),
        ("x['a'] = ['?', *range(59)]\nreturn x, y", r"column 'a'.*'\?'.*data\.columns: \{a: number\}"),
        ("return x, y[:50]", "60 rows and 50 labels"),
        ("return x", r"data\.label was expected.*Columns: length"),
        ("x.columns = ['a', 'a', 'b', 'c']\nreturn x, y", "different names.*a twice"),
        ("return (x, y), (x.drop(columns='wild'), y)", "same columns.*wild"),
        ("return (x, y), (x.assign(wild='so'), y)", "columns of one type"),
        ("return x, np.where(np.arange(count) == 3, None, y)", "1 that are missing"),
    ],
)  # fmt: skip
def test_a_frame_that_cannot_be_used_is_refused_by_its_column(function, tail, message):
    with pytest.raises(DataError, match=message) as caught:
        function(HEAD + tail)
    assert "\n" not in str(caught.value)


def test_a_label_that_is_no_column_has_a_near_miss(function):
    with pytest.raises(DataError, match=r"Received: 'colours'\. Did you mean 'colour'"):
        function(HEAD + "return x", label="colours")


def test_a_sparse_matrix_becomes_an_array_and_that_is_said(function, capsys):
    body = (
        "import scipy.sparse as s\nx = s.random(40, 9, 0.5, {form!r}, random_state=0)\nload.x = x"
    )
    for form in ("csr", "coo", "csc"):
        data = function(body.format(form=form) + "\nreturn x, np.arange(40) % 2", scale="none")
        assert data.input_shape == (9,)
        assert "sparse matrix of shape (40, 9)" in capsys.readouterr().err


def test_a_sparse_matrix_that_memory_does_not_hold_is_refused_by_its_size(function, monkeypatch):
    monkeypatch.setattr(trees, "SHARE_OF_MEMORY", 1e-12)
    with pytest.raises(DataError, match=r"\(40, 900\).*max_features.*\.toarray\(\)") as caught:
        function("import scipy.sparse as s\nreturn s.eye(40, 900).tocsr(), np.arange(40) % 2")
    assert "\n" not in str(caught.value)
