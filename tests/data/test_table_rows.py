"""Further rows of a table are read by the rules of the first, from a plain document."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pandas as pd
import pytest

from orchestrator.data.table_columns import TableRecipe
from orchestrator.data.table_rows import read_rows
from orchestrator.errors import DataError


@pytest.fixture
def recipe(tmp_path, load):
    """What is learnt of a table of every kind of column, as its document tells it."""
    rows = "".join(
        f"{at},5;{'?' if at == 7 else at};{'true' if at % 3 else 'false'};{'uv'[at % 2]};{at % 2}\n"
        for at in range(40)
    )
    (tmp_path / "train.csv").write_text("a;b;f;c;y\n" + rows, encoding="utf-8")
    data = load("./train.csv", label="y", missing="median")
    return TableRecipe.from_plain(json.loads(json.dumps(data.table.to_plain())))


def test_a_recipe_is_a_plain_document_and_can_be_pickled(recipe):
    assert [column.kind for column in recipe.columns] == ["number", "number", "flag", "text"]
    assert recipe.columns[3].categories == ("u", "v")
    assert recipe.columns[1].gaps == ("?",)
    assert recipe.columns[0].decimal == ","
    assert recipe.features == ("a", "b", "f", "c=u", "c=v")
    assert pickle.loads(pickle.dumps(recipe)) == recipe  # noqa: S301 - bytes made in this line


@pytest.mark.parametrize("sign", [";", "\t"])
def test_rows_come_as_they_lie_in_the_file(tmp_path, recipe, sign):
    text = "c;more;b;a;f\nu;x;?;1,5;true\nw;x;3;2;false\n;x;4;1.234,5;\n".replace(";", sign)
    (tmp_path / "new.csv").write_text(text, encoding="utf-8")
    rows = read_rows(tmp_path / "new.csv", recipe)
    assert list(rows.columns) == ["a", "b", "f", "c"]
    assert rows.columns["a"].tolist() == [1.5, 2, 1234.5]
    assert np.isnan(rows.columns["b"]).tolist() == [True, False, False]
    assert rows.columns["f"][:2].tolist() == [1, 0]
    assert rows.columns["c"].tolist() == ["u", "w", ""]
    assert (rows.labels, rows.rows) == (None, 3)


def test_a_file_with_points_is_read_with_points(tmp_path, recipe):
    (tmp_path / "new.csv").write_text("a,b,f,c,y\n1.5,2,true,u,1\n2.5,3,false,v,0\n")
    rows = read_rows(tmp_path / "new.csv", recipe)
    assert rows.columns["a"].tolist() == [1.5, 2.5]
    assert rows.labels.tolist() == [1, 0]


def test_parquet_rows_are_read_alike(tmp_path, recipe):
    frame = pd.DataFrame({"b": [1, None], "a": [1.5, 2], "f": [True, False], "c": ["v", None]})
    frame.to_parquet(tmp_path / "new.parquet")
    rows = read_rows(tmp_path / "new.parquet", recipe)
    assert rows.columns["a"].tolist() == [1.5, 2]
    assert np.isnan(rows.columns["b"]).tolist() == [False, True]
    assert rows.columns["c"].tolist() == ["v", ""]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b;f\n1;2;true\n", "columns of training.*no c.*Columns: a, b, f"),
        ("a;b;f;c\n", "rows were expected. Received: none"),
        (
            "a;b;f;c\nhigh;2;true;u\n",
            "column 'a': numbers were expected. Received: 'high' in 1 rows",
        ),
        ("a;b;f;c\n;2;true;u\n", "column 'a': a value in every row.*1 that are missing"),
        ("a;a;b;f;c\n1;1;2;true;u\n", "different names.*a twice"),
    ],
)
def test_rows_that_do_not_fit_are_refused_in_one_sentence(tmp_path, recipe, text, message):
    (tmp_path / "new.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        read_rows(tmp_path / "new.csv", recipe)
    assert "\n" not in str(caught.value)


def test_rows_of_a_file_without_names_have_the_columns_numbers(tmp_path, load):
    lines = "".join(f"{at}.5,{at % 2}\n" for at in range(20))
    (tmp_path / "train.csv").write_text(lines, encoding="utf-8")
    data = load("./train.csv", label="column_2", header=False)
    rows = read_rows(tmp_path / "train.csv", data.table)
    assert rows.columns["column_1"].tolist() == [at + 0.5 for at in range(20)]
    assert rows.labels.tolist() == [0, 1] * 10
