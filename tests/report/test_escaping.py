"""What users typed stays text in every format: no markup, no formula, no cursor moved, no secret."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest

from orchestrator import redaction
from orchestrator.report.render import FORMATS, render, text_table, to_csv, to_latex, to_markdown

NASTY = [
    "=HYPERLINK(\"http://x\")", "+1+2", "-2+3", "@SUM(A1)", "\tx", "<script>alert(1)</script>", "a|b",
    "[x](javascript:1)", "**b**", "`c`", "_i_", "&lt;", "~~s~~", "$x$", "\\input{x}", "%", "#", "{", "\x1b[2J",
    "\x07", "two\nlines", "\u202eright", "[red]x[/red]", "\u200bzero",
]  # fmt: skip


@pytest.fixture
def frame():
    return pd.DataFrame({"hp_note": NASTY, "value": range(len(NASTY))})


def test_a_text_that_a_spreadsheet_would_compute_is_behind_an_apostrophe(frame):
    rows = list(csv.reader(io.StringIO(to_csv(frame))))
    assert [row[0] for row in rows[1:6]] == [f"'{text}" for text in NASTY[:5]]
    assert [row[0] for row in rows[6:]] == [text for text in NASTY[5:]]


def test_numbers_stay_numbers_in_csv_as_text_too():
    frame = pd.DataFrame({"a": [-1.5, 2.0], "b": ["-1.5e-3", "+2"], "c": [-1, "none"]})
    assert to_csv(frame).splitlines() == ["a,b,c", "-1.5,-1.5e-3,-1", "2.0,+2,none"]


def test_a_columns_name_is_no_formula_either():
    assert to_csv(pd.DataFrame({"=1+1": [1]})).startswith("'=1+1")


def test_markdown_shows_what_was_typed(frame):
    import html
    import re

    lines = to_markdown(frame).splitlines()[2:]
    assert len(lines) == len(NASTY), "a row a line"
    for line in lines:
        assert re.fullmatch(r"\|(?:[^|\\]|\\.)*\|(?:[^|\\]|\\.)*\|", line), line
        bare = re.sub(r"\\.", "", line)
        assert not re.search(r"[<>`*\[\]$~]", bare), line
        assert html.unescape(bare) == bare


def test_markdown_leaves_names_readable():
    assert "best_val_accuracy" in to_markdown(pd.DataFrame({"best_val_accuracy": [1.0]}))


def test_latex_escapes_its_signs(frame):
    text = to_latex(frame)
    assert "\\input{x}" not in text and "\\textbackslash input\\{x\\}" in text
    assert "\\%" in text and "\\#" in text and "\\$x\\$" in text


@pytest.mark.parametrize("format", ["table", "markdown", "latex"])
def test_no_control_sign_reaches_a_screen(frame, format, capsys):
    render(frame, format, width=200)
    assert all(sign.isprintable() or sign == "\n" for sign in capsys.readouterr().out)


@pytest.mark.parametrize("format", ["table", "markdown", "latex"])
def test_nor_from_a_columns_name(format, capsys):
    render(pd.DataFrame({"\x1b[2Jx": [1], "a\nb": [2]}), format)
    assert all(sign.isprintable() or sign == "\n" for sign in capsys.readouterr().out)


@pytest.mark.parametrize("format", list(FORMATS))
def test_no_format_tells_a_secret(format, monkeypatch, tmp_path):
    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    monkeypatch.setenv("DB_PASSWORD", "opensesame and more of it, longer than a cell is wide")
    value = "opensesame and more of it, longer than a cell is wide"
    frame = pd.DataFrame({"note": [f"it is {value}", None], "mixed": [value, 1], value: [1, 2]})
    render(frame, format, tmp_path / "out", width=300)
    content = (tmp_path / "out").read_bytes()
    assert b"opensesame" not in content
    if format == "json":
        assert json.loads(content)[0]["mixed"] == "${ENV:DB_PASSWORD}"


def test_a_cell_is_cut_after_its_secret_is_gone(monkeypatch):
    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    monkeypatch.setenv("DB_PASSWORD", "x" * 100)
    assert "xxxx" not in text_table(pd.DataFrame({"note": ["x" * 100]}), 80)
