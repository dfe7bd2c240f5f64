from __future__ import annotations

import pandas as pd
import pytest

from orchestrator.records import RunWriter, read_run
from orchestrator.report import days_table, epochs_table, render
from tests.fortnight import MAIN, make_folder, write_fortnight


@pytest.fixture
def records(tmp_path):
    return write_fortnight(make_folder(tmp_path))


@pytest.fixture
def days(records):
    return days_table(records, MAIN)


def test_a_day_is_a_row_in_the_order_lived_and_the_unfinished_one_is_today(days):
    assert list(days["day"]) == [1, 2, 2, 3]
    assert list(days["state"].fillna("")) == ["", "abandoned", "", "today"]
    assert list(days["epoch"]) == [2, 4, 4, 5]


def test_a_days_change_is_from_the_day_it_really_followed(days):
    assert pd.isna(days["change"][0])
    assert days["change"][1:].round(6).tolist() == [-0.3, 0.2, 0.05]


def test_what_was_in_force_at_a_days_end_stands_in_its_row(days):
    assert list(days["learning_rate"]) == [0.1, 0.9, 0.1, 0.1]
    assert list(days["momentum"]) == [0.9] * 4


def test_what_was_changed_and_done_stands_with_the_day_it_was_done_on(days):
    assert list(days["changed"].fillna("")) == ["", "learning_rate 0.1 -> 0.9", "", ""]
    done = days["done"].fillna("")
    assert done[1] == "learning_rate 0.1 -> 0.9 by ada@node3"
    assert "rolled back to day 1, epoch 2" in done[2]
    assert "sitter advised: overfitting" in done[2]
    assert "refused: set units 5" in done[3]
    assert "branched off gentle at day 2" in done[3]


def test_the_size_of_a_checkpoint_is_shown_while_it_is_kept(records, days):
    assert days["bytes"].fillna(0).tolist() == [2048, 0, 2048, 0]
    (records.folder.checkpoints / MAIN / "day-00001.npz").unlink()
    assert days_table(records, MAIN)["bytes"].fillna(0).tolist() == [0, 0, 2048, 0]


def test_a_branchs_days_begin_with_those_it_shares(records):
    days = days_table(records, "gentle")
    assert list(days["day"]) == [1, 2, 3]
    assert days["change"][1:].round(6).tolist() == [0.2, 0.1]
    assert days["learning_rate"].tolist() == [0.1, 0.1, 0.03]


def test_a_run_whose_first_day_has_not_ended_has_no_row_or_today_alone(tmp_path):
    folder = make_folder(tmp_path, "young")
    with RunWriter(folder) as writer:
        writer.trial_started(MAIN, 0, 7, {})
        empty = days_table(read_run(folder.path), MAIN)
        writer.epochs([{"trial": MAIN, "epoch": 1, "metrics": {}, "seconds": 1.0}])
    assert len(empty) == 0 and "day" in empty.columns
    assert list(days_table(read_run(folder.path), MAIN)["state"]) == ["today"]


def test_the_table_fits_80_columns_and_shows_what_matters(days, capsys):
    render(days)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert "abandoned" in text and "learning_rate 0.1 -> 0.9" in text


def test_the_epochs_table_marks_what_was_abandoned(records):
    table = epochs_table(records)
    assert table["abandoned"].sum() == 2
    assert list(table[table["abandoned"]]["epoch"]) == [3, 4]
