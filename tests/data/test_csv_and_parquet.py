from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from orchestrator.errors import DataError


@pytest.fixture(params=["csv", "parquet"])
def table(request, tmp_path, load):
    """Write a frame as CSV or Parquet and load it by its label column."""

    def _table(frame, label="species", seed=0, **options):
        path = tmp_path / f"rows.{request.param}"
        if request.param == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
        return load(f"./rows.{request.param}", seed, label=label, **options)

    return _table


@pytest.fixture
def csv(tmp_path, load):
    """Write text as CSV and load it."""

    def _csv(text, label="y", **options):
        (tmp_path / "rows.csv").write_text(text, encoding="utf-8")
        return load("./rows.csv", label=label, **options)

    return _csv


@pytest.fixture
def flowers():
    count = 60
    return pd.DataFrame(
        {
            "length": np.arange(count) / 7,
            "petals": np.arange(count) % 5,
            "wild": np.arange(count) % 2 == 0,
            "colour": np.tile(["red", "blue", "white"], 20),
            "species": np.repeat(["rose", "lily", "iris"], 20),
        }
    )


def test_numbers_booleans_and_text_become_features(table, flowers):
    data = table(flowers, scale="none")
    assert data.columns == (
        "length", "petals", "wild", "colour=blue", "colour=red", "colour=white",
    )  # fmt: skip
    assert data.classes == ("iris", "lily", "rose")
    assert data.train.x.dtype == np.float32
    for split in (data.train, data.validation, data.test):
        for row, code in zip(split.x, split.y, strict=True):
            original = flowers.iloc[round(row[0] * 7)]
            assert row[1] == original.petals
            assert row[2] == original.wild
            assert data.columns[3 + int(row[3:].argmax())] == f"colour={original.colour}"
            assert data.classes[code] == original.species


def test_csv_and_parquet_of_one_frame_are_split_alike(tmp_path, load, flowers):
    flowers.to_csv(tmp_path / "a.csv", index=False)
    flowers.to_parquet(tmp_path / "a.parquet")
    first, second = (load(f"./a.{end}", label="species") for end in ("csv", "parquet"))
    assert np.allclose(first.test.x, second.test.x)
    assert first.test.y.tolist() == second.test.y.tolist()


def test_a_table_is_scaled_as_its_encoded_training_rows_say(table, flowers):
    data = table(flowers)
    plain = table(flowers, scale="none").train.x.astype(float)
    assert np.allclose(data.scaling["mean"], plain.mean(axis=0), rtol=1e-6)
    assert np.allclose(data.scaling["std"], plain.std(axis=0), rtol=1e-6)
    assert np.allclose(data.train.x.mean(axis=0), 0, atol=1e-6)


def test_integer_and_boolean_labels_are_classes_in_their_order(table):
    frame = pd.DataFrame({"a": np.arange(30.0), "species": np.tile([10, 9, 3], 10)})
    assert table(frame).classes == ("3", "9", "10")
    assert table(frame.assign(species=np.tile([True, False], 15))).classes == ("False", "True")


def test_a_text_that_no_training_row_has_is_in_no_column(table, flowers):
    for seed in range(3):
        train = table(flowers, seed=seed, scale="none").train.x
        seen = {round(float(value) * 7) for value in train[:, 0]}
        outside = next(row for row in range(60) if row not in seen)
        frame = flowers.assign(colour=["mauve" if i == outside else "red" for i in range(60)])
        data = table(frame, seed=seed, scale="none")
        assert data.columns[3:] == ("colour=red",)
        held_out = np.concatenate([data.validation.x, data.test.x])
        assert held_out[:, 3].sum() == len(held_out) - 1


def test_a_missing_label_column_names_the_near_miss_and_the_columns(table, flowers):
    with pytest.raises(DataError) as caught:
        table(flowers, label="specie")
    assert "Received: 'specie'. Did you mean 'species'?" in str(caught.value)
    assert "Columns: length, petals, wild, colour, species." in str(caught.value)
    with pytest.raises(DataError, match=r"data\.label was expected\. Received: none"):
        table(flowers, label=None)


def test_missing_values_are_counted_by_column(table, flowers):
    flowers.loc[3:5, "length"] = None
    flowers.loc[7, "colour"] = None
    with pytest.raises(DataError, match="missing: 3 in column 'length', 1 in column 'colour'"):
        table(flowers)


def test_missing_labels_are_counted(table, flowers):
    flowers.loc[3:4, "species"] = None
    with pytest.raises(DataError, match=r"column 'species': a label in every row.*2 that are miss"):
        table(flowers)
    with pytest.raises(DataError, match="1 that are missing"):
        table(flowers.assign(species=[None] + [1.0, 2.0] * 29 + [1.0]))


def test_infinite_values_are_counted_by_column(table, flowers):
    flowers.loc[3, "length"] = np.inf
    with pytest.raises(DataError, match=r"finite numbers.*infinite: 1 in column 'length'"):
        table(flowers)


def test_a_quantity_as_label_is_no_class(table, flowers):
    with pytest.raises(DataError, match=r"column 'length': classes .*, not quantities"):
        table(flowers, label="length", task="classification")
    assert table(flowers, label="length").labels.form == "quantities"


def test_an_identifier_among_the_features_is_refused(table):
    frame = pd.DataFrame({"id": [f"row {i}" for i in range(600)], "species": [1, 2] * 300})
    with pytest.raises(DataError, match=r"at most 256 different texts.*column 'id'"):
        table(frame)


def test_a_saved_index_is_no_feature(tmp_path, load, flowers):
    flowers.to_csv(tmp_path / "rows.csv")
    flowers.iloc[::-1].to_parquet(tmp_path / "rows.parquet", index=True)
    for end in ("csv", "parquet"):
        assert load(f"./rows.{end}", label="species").columns[0] == "length"


def test_semicolons_and_tabs_separate_columns_too(csv):
    for sign in ";\t":
        data = csv("a,y\n1,u\n2,v\n3,u\n4,v\n5,u\n6,v\n".replace(",", sign))
        assert data.columns == ("a",)


def test_text_in_quotes_may_hold_commas_and_lines(csv):
    rows = "".join(f'"x,\n{i % 2}",{i % 3}\n' for i in range(30))
    assert csv("a,y\n" + rows).columns == ("a=x,\n0", "a=x,\n1")


def test_dates_and_lists_are_refused_by_column_and_type(tmp_path, load):
    frame = {"when": pd.to_datetime(["2020-01-01"] * 9), "v": [[1, 2]] * 9, "y": [1, 2, 3] * 3}
    pq.write_table(pa.table(frame), tmp_path / "rows.parquet")
    with pytest.raises(DataError, match=r"'when' \(timestamp.*'v' \(list"):
        load("./rows.parquet", label="y")


def test_categories_and_decimals_of_parquet_are_text_and_numbers(tmp_path, load):
    columns = {
        "c": pa.array(["u", "v"] * 9).dictionary_encode(),
        "d": pa.array([1, 2] * 9).cast(pa.decimal128(21, 2)),
        "h": pa.array(np.arange(18), pa.float16()),
        "y": pa.array(["a", "b", "b"] * 6).dictionary_encode(),
    }
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    for stream in (False, True):
        data = load("./rows.parquet", label="y", stream=stream)
        assert data.columns == ("c=u", "c=v", "d", "h")
        assert data.classes == ("a", "b")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Received: Empty CSV file"),
        ("a,y\n", "rows were expected. Received: none"),
        ("y\n1\n2\n", "at least one column beside the label"),
        ("a,a,y\n1,2,3\n", "different names.*a twice"),
        ("a,y\n1,2,3\n", "readable .csv file"),
        ("a,y\n1,u\n2,u\n3,u\n", "at least two classes"),
        ("a,y\n1,u\n2,u\n3,u\n4,v\n", "class 'v' has 1"),
    ],
)
def test_a_csv_file_that_is_no_table_is_refused_in_one_sentence(csv, text, message, stream):
    with pytest.raises(DataError, match=message) as caught:
        csv(text, stream=stream)
    assert "\n" not in str(caught.value)


def test_a_broken_parquet_file_is_refused(tmp_path, load):
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 broken PAR1")
    for stream in (False, True, "auto"):
        with pytest.raises(DataError, match=r"a readable \.parquet file was expected"):
            load("./rows.parquet", label="y", stream=stream)
