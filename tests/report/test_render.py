from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len

from orchestrator.errors import OrchestratorError, PlaceError, UnknownNameError
from orchestrator.report import FORMATS, render, trials_table
from orchestrator.report.render import text_table


@pytest.fixture
def frame():
    return pd.DataFrame(
        {
            "name": ["a_1 & b|c", "100% {x}"],
            "value": [0.123456789012345, np.nan],
            "count": pd.array([1, None], dtype="Int64"),
            "mixed": [64, "none"],
        }
    )


def test_csv_keeps_every_digit(frame, capsys):
    render(frame, "csv")
    back = pd.read_csv(io.StringIO(capsys.readouterr().out))
    assert back["value"][0] == 0.123456789012345
    assert list(back.columns) == list(frame.columns)


def test_json_is_a_list_of_records_with_null_for_what_is_missing(frame, capsys):
    frame["infinite"] = [np.inf, 1.0]
    render(frame, "json")
    first, second = json.loads(capsys.readouterr().out)
    assert first == {
        **{"name": "a_1 & b|c", "value": 0.123456789012345},
        **{"count": 1, "mixed": 64, "infinite": None},
    }
    assert second["value"] is None
    assert second["count"] is None


def test_markdown_escapes_pipes_and_keeps_names_as_they_are(frame, capsys):
    frame["trial"] = ["00007", "00008"]
    render(frame, "markdown")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert "a_1 & b\\|c" in lines[2]
    assert "00007" in lines[2]


def test_latex_escapes_what_users_typed(frame, capsys):
    render(frame, "latex")
    text = capsys.readouterr().out
    assert r"a\_1 \& b|c" in text
    assert r"100\% \{x\}" in text
    assert text.startswith(r"\begin{tabular}{lrrl}")


def test_jsonl_is_an_object_a_line_as_json_has_them(frame, capsys):
    render(frame, "json")
    rows = json.loads(capsys.readouterr().out)
    render(frame, "jsonl")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == rows


def test_parquet_keeps_types_and_writes_mixed_columns_as_text(frame, tmp_path):
    render(frame, "parquet", tmp_path / "a.parquet")
    back = pd.read_parquet(tmp_path / "a.parquet")
    assert back["value"][0] == 0.123456789012345
    assert list(back["mixed"]) == ["64", '"none"']


def test_parquet_needs_a_file(frame, capsys):
    with pytest.raises(OrchestratorError, match="--output"):
        render(frame, "parquet")
    assert capsys.readouterr().out == ""


def test_an_unknown_format_names_the_known_ones(frame):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'json'.*parquet"):
        render(frame, "jsn")


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_can_go_to_a_file_and_leaves_stdout_alone(run, tmp_path, capsys, format):
    file = tmp_path / "out"
    render(trials_table(run), format, file)
    assert file.stat().st_size > 100
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_takes_an_empty_table(run, tmp_path, format):
    render(trials_table(run).head(0), format, tmp_path / "out")
    assert (tmp_path / "out").exists()


def test_a_file_that_cannot_be_written_is_named(frame, tmp_path):
    with pytest.raises(PlaceError, match="none/out"):
        render(frame, "csv", tmp_path / "none" / "out")


def test_the_terminal_table_fits_and_says_what_it_left_out(run, capsys):
    render(trials_table(run))
    lines = capsys.readouterr().out.splitlines()
    assert max(cell_len(line) for line in lines) <= 80
    assert "learning_" in lines[0]
    assert any("more columns" in line for line in lines)
    assert any("parameters" in line for line in lines[-4:])


def test_a_wide_terminal_shows_every_column_that_says_something(run):
    text = text_table(trials_table(run), 300)
    assert "more column" not in text
    assert "asha at epoch 1" in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [10, 40, 80, 120])
def test_no_line_is_wider_than_asked(run, width):
    rows = text_table(trials_table(run), width).splitlines()[:14]
    assert max(cell_len(line) for line in rows) <= width


def test_numbers_are_shown_to_four_digits(run):
    assert "0.8889" in text_table(pd.DataFrame({"x": [0.88888]}))


def test_a_table_without_rows_shows_its_header(run):
    assert "status" in text_table(trials_table(run).head(0))
