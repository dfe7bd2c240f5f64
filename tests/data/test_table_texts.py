"""What texts of a CSV file are taken for, streamed and in memory alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from orchestrator.data import table_file
from orchestrator.errors import DataError

LABELS = ["dry", "wet"] * 15
NUMBERS = [f"{18 + at / 2:.1f}" for at in range(30)]


@pytest.fixture(params=[False, True], ids=["memory", "stream"])
def csv(request, tmp_path, load, monkeypatch):
    """Write columns as CSV, cut by ``sign``, and load them unscaled."""
    monkeypatch.setattr(table_file, "BLOCK_BYTES", 64)

    def _csv(cells, sign=",", encoding="utf-8", end="\n", **options):
        rows = [list(cells), *zip(*cells.values(), strict=True)]
        quoted = [[f'"{cell}"' if sign in str(cell) else str(cell) for cell in row] for row in rows]
        text = "".join(sign.join(row) + end for row in quoted)
        (tmp_path / "rows.csv").write_bytes(text.encode(encoding))
        options = {"label": "y", "scale": "none", "stream": request.param} | options
        return load("./rows.csv", **options)

    return _csv


def every(data):
    """Return all rows, in the order of their splits."""
    splits = [data.train, data.validation, data.test]
    if not data.streamed:
        return np.concatenate([split.x for split in splits])
    return np.concatenate([x for split in splits for x, *_ in split.batches(7, None)])


def values(data, column=0):
    return sorted(float(value) for value in every(data)[:, column])


@pytest.mark.parametrize("sign", [",", ";", "\t", "|"])
def test_decimal_commas_are_numbers(csv, sign):
    point = csv({"t": NUMBERS, "p": NUMBERS[::-1], "y": LABELS}, sign)
    expected = every(point)
    comma = [text.replace(".", ",") for text in NUMBERS]
    data = csv({"t": comma, "p": comma[::-1], "y": LABELS}, sign)
    assert data.columns == ("t", "p")
    assert np.array_equal(every(data), expected)
    assert data.fingerprint == point.fingerprint
    assert {column.decimal for column in data.table.columns} == {","}


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1,234.5", "987.25"], [987.25, 1234.5]),
        (["1.234,5", "987,25"], [987.25, 1234.5]),
        (["1,234,567", "12"], [12, 1234567]),
        (["1.234.567", "12"], [12, 1234567]),
        (["1 234,5", "7"], [7, 1234.5]),
        (["1\u00a0234.5", "7"], [7, 1234.5]),
        (["1'234.5", "7"], [7, 1234.5]),
        (["\u22125.5", "+7"], [-5.5, 7]),
        (["-5", " 7 "], [-5, 7]),
        (["1e3", "2.5E-1"], [0.25, 1000]),
        (["0.125", "1.250"], [0.125, 1.25]),
        (["0,125", "1,250"], [0.125, 1.25]),
        (["1.234", "5.678"], [1.234, 5.678]),
        (["007", "010"], [7, 10]),
    ],
)
def test_the_usual_writings_of_a_number_are_read(csv, texts, numbers):
    data = csv({"a": texts * 15, "y": np.repeat(LABELS[:2], 15)}, ";")
    assert data.columns == ("a",)
    assert sorted(set(values(data))) == pytest.approx(numbers)


def test_thousands_follow_the_sign_of_the_other_columns(csv):
    columns = {"a": ["1.234", "5.678"] * 15, "b": [f"{at},5" for at in range(30)], "y": LABELS}
    assert set(values(csv(columns, ";"))) == {1234, 5678}
    columns = {"a": ["1,234", "5,678"] * 15, "b": [f"{at}.5" for at in range(30)], "y": LABELS}
    assert set(values(csv(columns, ";"))) == {1234, 5678}
    columns["b"] = [f"{at},5" for at in range(30)]
    assert set(values(csv(columns, ";"))) == {float(np.float32(1.234)), float(np.float32(5.678))}


def test_one_comma_before_three_digits_is_asked_about(csv):
    columns = {"a": ["1,234", "5,678"] * 15, "y": LABELS}
    with pytest.raises(
        DataError, match=r"column 'a'.*1,234.*data\.decimal: \"\.\".*\",\""
    ) as caught:
        csv(columns, ";")
    assert "\n" not in str(caught.value)
    assert set(values(csv(columns, ";", decimal="."))) == {1234, 5678}
    assert set(values(csv(columns, ";", decimal=","))) == {
        float(np.float32(1.234)),
        float(np.float32(5.678)),
    }


@pytest.mark.parametrize(
    "gap", ["?", "NA", "N/A", "-", "", " ", "null", "NaN", "n.a.", "None", "."]
)
def test_a_gap_among_numbers_is_refused_and_filled_where_that_is_asked(csv, gap):
    columns = {"a": [gap, gap, *NUMBERS[2:]], "b": NUMBERS, "y": LABELS}
    with pytest.raises(
        DataError, match=r"missing: 2 in column 'a'.*data\.missing: median"
    ) as caught:
        csv(columns)
    assert "\n" not in str(caught.value)
    assert (repr(gap) in str(caught.value)) == bool(gap.strip())
    data = csv(columns, missing="median")
    assert data.columns == ("a", "b")
    train = data.train.x if not data.streamed else next(data.train.batches(99, None))[0]
    known = [row[0] for row in train if row[1] >= 19]
    assert data.table.columns[0].fill == pytest.approx(np.median(known))
    low = [row for row in every(data) if row[1] < 19]
    assert [row[0] for row in low] == pytest.approx([np.median(known)] * 2)


@pytest.mark.parametrize(
    ("how", "fill"), [("mean", np.mean), ("median", np.median), ("most_frequent", None)]
)
def test_gaps_are_filled_by_the_training_rows_alone(csv, how, fill):
    a = [float(at % 7) for at in range(30)]
    columns = {"row": range(30), "a": [*a[:10], "NA", *a[11:]], "y": LABELS}
    data = csv(columns, missing=how)
    train = data.train.x if not data.streamed else next(data.train.batches(99, None))[0]
    known = [a[int(row)] for row in train[:, 0] if row != 10]
    counts = {value: known.count(value) for value in sorted(set(known))}
    expected = fill(known) if fill else max(counts, key=counts.get)
    assert data.table.columns[1].fill == pytest.approx(expected)
    filled = [row[1] for row in every(data) if row[0] == 10]
    assert filled == pytest.approx([expected])


def test_scaling_is_of_the_filled_column(csv):
    columns = {"a": ["NA", "NA", *NUMBERS[2:]], "c": ["u", "", "v"] * 10, "y": LABELS}
    for how in ("mean", "median", "most_frequent"):
        data = csv(columns, missing=how, scale="standard")
        train = data.train.x if not data.streamed else next(data.train.batches(99, None))[0]
        assert np.allclose(train.mean(axis=0), 0, atol=1e-5)
        assert np.allclose(train.std(axis=0), 1, atol=1e-5)


def test_a_gap_in_text_or_flags_gets_the_most_frequent_value(csv):
    colours = ["red"] * 20 + ["blue"] * 8 + [""] * 2
    columns = {"c": colours, "f": ["true"] * 20 + ["false"] * 9 + ["?"], "y": LABELS}
    with pytest.raises(DataError, match=r"missing: 1 in column 'f' \('\?'\), 2 in column 'c'"):
        csv(columns)
    data = csv(columns, missing="mean")
    assert data.columns == ("c=blue", "c=red", "f")
    assert every(data).sum(axis=0).tolist() == [8, 22, 21]


def test_a_question_mark_among_words_is_a_word(csv):
    data = csv({"c": ["?", "u", "v"] * 10, "y": LABELS})
    assert data.columns == ("c=?", "c=u", "c=v")


def test_an_odd_value_among_numbers_is_asked_about(csv):
    columns = {"a": [*NUMBERS[:-1], "broken"], "y": LABELS}
    with pytest.raises(DataError) as caught:
        csv(columns)
    said = str(caught.value)
    assert "column 'a'" in said
    assert "invalid value 'broken' in 1 of 30 rows" in said
    assert "data.columns: {a: number}" in said and "{a: text}" in said
    with pytest.raises(DataError, match=r"missing: 1 in column 'a'"):
        csv(columns, columns={"a": "number"})
    assert csv(columns, columns={"a": "number"}, missing="mean").columns == ("a",)
    assert len(csv(columns, columns={"a": "text"}).columns) > 10


def test_many_numbers_among_some_words_are_asked_about(csv):
    for numbers in (range(25), [f"{at}.5" for at in range(25)]):
        columns = {"a": [*numbers, *["broken"] * 5], "y": LABELS}
        with pytest.raises(DataError, match=r"invalid value 'broken' in 5 of 30 rows"):
            csv(columns)


def test_a_sign_that_is_asked_for_does_not_turn_a_plain_column_into_words(csv):
    columns = {"a": NUMBERS, "b": ["1,234", "5,678"] * 15, "y": LABELS}
    data = csv(columns, ";", decimal=",")
    assert data.columns == ("a", "b")
    assert set(values(data, 1)) == {float(np.float32(1.234)), float(np.float32(5.678))}


def test_words_and_a_few_numbers_stay_words(csv):
    data = csv({"a": ["1", "2", "many", "few", "none"] * 6, "y": LABELS})
    assert data.columns == ("a=1", "a=2", "a=few", "a=many", "a=none")


@pytest.mark.parametrize(
    "texts",
    [
        ["2024-01-31", "2024-02-01"],
        ["2024-01-31 12:30:00", "2024-02-01T12:30:00Z"],
        ["31.12.2024", "1.1.2025"],
        ["2024-01", "2024/12"],
        ["12/31/24", "1/1/25"],
        ["12:30", "23:59:59"],
        ["3 Jan 2024", "4 February 2024"],
        ["Jan 3, 2024", "Feb 4, 2024"],
    ],
)
def test_dates_and_times_are_refused_with_what_to_do(csv, texts):
    columns = {"when": texts * 15, "b": NUMBERS, "y": LABELS}
    with pytest.raises(DataError, match=r"column 'when'.*dates or times.*data\.drop: \[when\]"):
        csv(columns)
    assert csv(columns, drop=["when"]).columns == ("b",)
    assert len(csv(columns, columns={"when": "text"}).columns) == 3


@pytest.mark.parametrize("texts", [["$5", "$1,200.50"], ["5 €", "1.200,50 €"], ["12%", "7.5 %"]])
def test_currency_and_percent_signs_are_refused_with_what_to_do(csv, texts):
    columns = {"price": texts * 15, "b": NUMBERS, "y": LABELS}
    with pytest.raises(DataError, match=r"column 'price': bare numbers.*data\.drop: \[price\]"):
        csv(columns)


def test_two_signs_in_one_column_are_refused(csv):
    with pytest.raises(DataError, match=r"column 'a': one decimal mark.*data\.decimal"):
        csv({"a": ["1.5", "2,5"] * 15, "y": LABELS}, ";")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "latin-1", "cp1252", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings_and_line_ends_are_noticed(csv, encoding, end):
    data = csv({"größe": NUMBERS, "stadt": ["Köln", "Bonn"] * 15, "y": LABELS}, ";", encoding, end)
    assert data.columns == ("größe", "stadt=Bonn", "stadt=Köln")
    assert data.classes == ("dry", "wet")


def test_columns_are_dropped_by_name_and_a_wrong_name_is_refused(csv):
    columns = {"id": [f"r{at}" for at in range(30)], "a": NUMBERS, "y": LABELS}
    assert csv(columns, drop=["id"]).columns == ("a",)
    with pytest.raises(DataError, match=r"in data\.drop. Received: 'idd'\. Did you mean 'id'\?"):
        csv(columns, drop=["idd"])
    with pytest.raises(DataError, match=r"data\.drop.*'y', which is in use"):
        csv(columns, drop=["y"])


def test_a_file_without_names_is_noticed(csv):
    columns = {"5.1": NUMBERS, "3.5": NUMBERS, "wet": LABELS}
    for label in ("y", None):
        with pytest.raises(DataError, match=r"looks like data: write data\.header: false"):
            csv(columns, label=label)
    data = csv(columns, label="column_3", header=False)
    assert data.columns == ("column_1", "column_2")
    assert len(every(data)) == 31


def test_numbered_names_are_names(csv):
    with pytest.raises(DataError) as caught:
        csv({"0": NUMBERS, "1": NUMBERS, "label": LABELS}, label="y")
    assert "looks like data" not in str(caught.value)


def test_an_identifier_is_noticed(csv, capsys):
    csv({"name": [f"n{at}" for at in range(60)], "a": NUMBERS * 2, "y": LABELS * 2})
    assert "identifier is left out with data.drop: [name]" in capsys.readouterr().err


def test_weights_are_a_column_and_no_feature(csv):
    data = csv({"a": NUMBERS, "w": range(30), "y": LABELS}, sample_weight="w")
    assert data.columns == ("a",)
    if data.streamed:
        x, _, weight = next(data.train.batches(99, None))
    else:
        x, weight = data.train.x, data.train.weight
    assert weight.dtype == np.float32
    assert np.allclose(weight, (x[:, 0] - 18) * 2)
    with pytest.raises(DataError, match=r"column 'w': a weight of at least 0.*1 that are missing"):
        csv({"a": NUMBERS, "w": [-1, *range(29)], "y": LABELS}, sample_weight="w")


def test_parquet_text_with_gaps_for_numbers_is_asked_about(tmp_path, load):
    frame = pd.DataFrame({"a": ["?", *NUMBERS[1:]], "zip": ["01", "02"] * 15, "y": LABELS})
    frame.to_parquet(tmp_path / "rows.parquet")
    for stream in (False, True):
        options = {"label": "y", "stream": stream}
        with pytest.raises(DataError, match=r"column 'a'.*'\?'.*data\.columns: \{a: number\}"):
            load("./rows.parquet", **options)
        data = load("./rows.parquet", columns={"a": "number"}, missing="mean", **options)
        assert data.columns == ("a", "zip=01", "zip=02")


def test_excels_first_line_that_names_the_sign_is_no_row(tmp_path, load):
    rows = "".join(f"{at},5;{at % 2}\r\n" for at in range(20))
    (tmp_path / "rows.csv").write_text("sep=;\r\na;y\r\n" + rows, encoding="utf-8")
    assert load("./rows.csv", label="y").columns == ("a",)
