"""Whichever line of a run's records is damaged, all that its others tell is shown."""

from __future__ import annotations

import pytest

from orchestrator.records import DamagedLineWarning, read_run
from orchestrator.report import (
    compare_lines,
    compare_table,
    days_table,
    epochs_table,
    journal_lines,
    journal_table,
    show_lines,
    trials_table,
    winner_lines,
    write_csvs,
)
from tests.fortnight import MAIN, make_folder, write_fortnight


def look_at_everything(records, place):
    show_lines(records), winner_lines(records), compare_lines([records], 80)
    journal_lines(records, None, 80), journal_table(records)
    trials_table(records), epochs_table(records), compare_table([records])
    if records.trial(MAIN) is not None:
        days_table(records, MAIN)
    place.mkdir(exist_ok=True)
    write_csvs(records, place)


def each_line_damaged(folder, tmp_path):
    for record in ("trials", "epochs", "events", "journal"):
        file = folder.path / f"{record}.jsonl"
        content = file.read_bytes() if file.exists() else b""
        for number in range(content.count(b"\n")):
            lines = content.split(b"\n")
            lines[number] = b"\xff" + lines[number]
            file.write_bytes(b"\n".join(lines))
            with pytest.warns(DamagedLineWarning, match=rf"{file.name}, lines? {number + 1}\b"):
                records = read_run(folder.path)
            look_at_everything(records, tmp_path / "tables")
        file.write_bytes(content)


def test_a_caviar_is_shown_whichever_line_is_damaged(run, tmp_path):
    each_line_damaged(run.folder, tmp_path)


def test_a_panda_is_shown_whichever_line_is_damaged(tmp_path):
    folder = make_folder(tmp_path)
    write_fortnight(folder)
    each_line_damaged(folder, tmp_path)
